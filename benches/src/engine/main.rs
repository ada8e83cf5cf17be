//! The engine alone: 672-byte JSON in, Avro out, through ingest and profile on the in-memory log, one thread.
//!
//! `cargo run --release -p millstream-benches --bin engine`

#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a benchmark prints, and has nobody to report an error to"
)]

mod cpu;
#[cfg(feature = "kafka")]
mod hops;
mod steps;
#[allow(dead_code, reason = "the benchmark of restarts uses the rest of it")]
mod traffic;
mod whole;

use clap::Parser;
use serde_json::json;

/// Measures the engine: ingest and profile, all operators, one core.
#[derive(Debug, Parser)]
pub struct Options {
    /// People in state before the measurement starts.
    #[arg(long, default_value_t = 1_000_000)]
    pub people: u64,
    /// Events measured.
    #[arg(long, default_value_t = 1_000_000)]
    pub events: u64,
    /// Partitions.
    #[arg(long, default_value_t = 4)]
    pub partitions: u32,
    /// Seed of the traffic.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Only the whole, not each stage alone (for a profiler).
    #[arg(long)]
    pub whole_only: bool,
    /// Score by the labelled heuristic instead of the shipped model.
    #[arg(long)]
    pub heuristic: bool,
    /// Only one JSON object.
    #[arg(long)]
    pub json: bool,
    /// A broker: also measures the same traffic through Kafka (feature `kafka`).
    #[cfg(feature = "kafka")]
    #[arg(long)]
    pub kafka: Option<String>,
}

fn main() {
    let options = Options::parse();
    let steps = if options.whole_only { steps::Steps::default() } else { steps::measure(&options) };
    let whole = whole::measure(&options);
    let per_event = |ns: u64| ns / options.events.max(1);
    let total = per_event(whole.cpu_ns);
    if options.json {
        let result = json!({
            "people": options.people,
            "events": options.events,
            "payload_bytes": traffic::PAYLOAD_BYTES,
            "ns_per_event": { "parse": steps.parse_ns, "ingest_stage": steps.ingest_ns, "profile_stage": steps.profile_ns, "whole": total },
            "events_per_second_and_core": 1_000_000_000 / total.max(1),
            "page_faults_per_1000_events": whole.page_faults * 1_000 / options.events.max(1),
            "outputs": whole.outputs,
            "cores": std::thread::available_parallelism().map_or(0, usize::from),
        });
        println!("{result}");
        return;
    }
    println!(
        "{} people in state, {} events of {} bytes, CPU time of one thread",
        options.people,
        options.events,
        traffic::PAYLOAD_BYTES
    );
    if !options.whole_only {
        println!("  parse JSON               {:>6} ns/event (within the ingest stage)", steps.parse_ns);
        println!("  ingest stage             {:>6} ns/event", steps.ingest_ns);
        println!("  profile stage            {:>6} ns/event", steps.profile_ns);
        println!("  log, epochs, undo        {:>6} ns/event", total.saturating_sub(steps.ingest_ns + steps.profile_ns));
    }
    println!("  whole                    {total:>6} ns/event = {} events/s/core", 1_000_000_000 / total.max(1));
    println!("  page faults              {:>6.2} an event", whole.page_faults as f64 / options.events.max(1) as f64);
    println!("  outputs                  {:?}", whole.outputs);
    #[cfg(feature = "kafka")]
    if let Some(brokers) = &options.kafka {
        let hops = hops::measure(&options, brokers);
        println!("through Kafka ({brokers}), whole process with librdkafka's threads, broker apart");
        println!(
            "  whole                    {:>6} ns/event CPU, {} events/s of wall time",
            hops.cpu_ns, hops.events_per_second
        );
        println!("  two hops add             {:>6} ns/event CPU", hops.cpu_ns.saturating_sub(total));
    }
}
