//! `kill -9` of a worker with many people in state. `cargo run -p millstream-tests --bin recovery -- --people 100000`
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command")]

use std::process::ExitCode;

use clap::Parser;
use millstream_tests::crash::recovery::{Recovery, measure};

/// Fills state, kills the worker under load, starts it again, and tells how long it took to be caught up.
#[derive(Debug, Parser)]
struct Arguments {
    /// People in state.
    #[arg(long, default_value_t = 100_000)]
    people: u64,
    /// Load while it is killed.
    #[arg(long, default_value_t = 1_000)]
    events_per_second: u64,
    /// Between two snapshots of a partition, milliseconds.
    #[arg(long, default_value_t = 10_000)]
    snapshot_interval_ms: u64,
    /// How often it is killed.
    #[arg(long, default_value_t = 5)]
    kills: u32,
    /// Consumer group protocol.
    #[arg(long, default_value = "classic", value_parser = ["classic", "consumer"])]
    protocol: String,
    /// Seed of the moments.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

fn main() -> ExitCode {
    let Arguments { people, events_per_second, snapshot_interval_ms, kills, protocol, seed } = Arguments::parse();
    let recovery = Recovery { people, events_per_second, snapshot_interval_ms, kills, protocol, seed };
    let Some(measured) = measure("recovery", &recovery) else { return ExitCode::from(4) };
    let seconds = |times: &[std::time::Duration]| {
        times.iter().map(|time| format!("{:.2}", time.as_secs_f64())).collect::<Vec<_>>().join(", ")
    };
    println!("machine: {}", machine());
    println!(
        "{people} people in state (loaded in {:.1} s), {events_per_second} events/s, a snapshot every {snapshot_interval_ms} ms, {} protocol",
        measured.loaded.as_secs_f64(),
        recovery.protocol
    );
    println!("first score after start, s:  {}", seconds(&measured.first_score));
    println!("caught up after start, s:    {}", seconds(&measured.caught_up));
    println!("{}", measured.lives);
    ExitCode::SUCCESS
}

/// Cores, processor, memory, load.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let memory = read("/proc/meminfo");
    let total = memory.lines().next().unwrap_or_default().split_whitespace().nth(1).unwrap_or("?").to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let profile = if cfg!(debug_assertions) { "development" } else { "release" };
    format!(
        "{cores} cores, {}, {total} kB of memory, load {}, this program's profile: {profile}",
        model.trim_start_matches([' ', '\t', ':']),
        read("/proc/loadavg").split(' ').next().unwrap_or("?")
    )
}
