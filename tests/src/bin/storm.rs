//! A storm over real servers, and what it left. `cargo run -p millstream-tests --bin storm -- --hits 50 --seed 7`
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command")]

use std::process::ExitCode;

use clap::Parser;
use millstream_tests::crash::storm::{Storm, run};

/// Kills and freezes collector, workers, deliverer, Kafka and ClickHouse at random moments under load, and compares everything with
/// everything afterwards.
#[derive(Debug, Parser)]
struct Arguments {
    /// Kills and freezes.
    #[arg(long, visible_alias = "kills", default_value_t = Storm::default().hits)]
    hits: u32,
    /// What all chance comes from.
    #[arg(long, default_value_t = Storm::default().seed)]
    seed: u64,
    /// Load: sent whatever becomes of it.
    #[arg(long, default_value_t = Storm::default().events_per_second)]
    events_per_second: u32,
    /// Visitors of the simulated shop.
    #[arg(long, default_value_t = Storm::default().people)]
    people: u32,
    /// Consumer group protocol.
    #[arg(long, default_value = "classic", value_parser = ["classic", "consumer"])]
    protocol: String,
    /// Recover by replaying the whole log.
    #[arg(long)]
    no_snapshots: bool,
    /// Between two snapshots of a partition, milliseconds.
    #[arg(long, default_value_t = Storm::default().snapshot_interval_ms)]
    snapshot_interval_ms: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let storm = Storm {
        hits: arguments.hits,
        seed: arguments.seed,
        events_per_second: arguments.events_per_second,
        people: arguments.people,
        protocol: arguments.protocol,
        snapshots: !arguments.no_snapshots,
        snapshot_interval_ms: arguments.snapshot_interval_ms,
        ..Storm::default()
    };
    let Some(report) = run("storm", &storm) else { return ExitCode::from(4) };
    println!("\n{report}");
    if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
