//! A burst while the warehouse is down, and the broker for a while: what is acknowledged, what is refused, how much memory it takes, and
//! whether every acknowledged event is a row in the end, once.
//!
//! `scripts/with-servers kafka clickhouse -- cargo run --release -p millstream-benches --bin burst` (first `cargo build --release -p
//! millstream`; without `kafka` on the embedded log)
//!
//! Open-loop: requests are due at fixed times whether or not they are taken. What is refused is sent again with the same ids until its
//! sender's patience ends; then it counts as given up, and nobody promised anything about it. The list of acknowledged ids is this
//! program's own.

#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark prints, and has nobody to report an error to"
)]

mod load;
mod samples;
mod server;
mod warehouse;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use millstream_benches::system::{Setup, System};

use crate::load::{Counts, Phases};
use crate::server::Server;
use crate::warehouse::Warehouse;

/// Drives a burst through a running system.
#[derive(Debug, Parser)]
pub struct Options {
    /// Kafka's address; without it the embedded log is used.
    #[arg(long, env = "KAFKA_BROKERS")]
    pub brokers: Option<String>,
    /// ClickHouse's HTTP address.
    #[arg(long, env = "CLICKHOUSE_URL")]
    pub clickhouse: String,
    /// Data directory of the development server, by which it is killed, started again and in the end stopped; without it there is no
    /// outage.
    #[arg(long, env = "MILLSTREAM_CLICKHOUSE_DEV_DATA")]
    pub clickhouse_data: Option<std::path::PathBuf>,
    /// Data directory of the development broker, likewise.
    #[arg(long, env = "MILLSTREAM_KAFKA_DEV_DATA")]
    pub kafka_data: Option<std::path::PathBuf>,
    /// Where the commands are that kill and start them.
    #[arg(long, default_value = "scripts")]
    pub scripts: std::path::PathBuf,
    /// The `millstream` binary; by default the one beside this program.
    #[arg(long)]
    pub millstream: Option<std::path::PathBuf>,
    /// Events a second before and after the burst.
    #[arg(long, default_value_t = 2_000)]
    pub base_rate: u64,
    /// Seconds of that, before and after.
    #[arg(long, default_value_t = 20)]
    pub base_seconds: u64,
    /// Events a second in the burst.
    #[arg(long, default_value_t = 20_000)]
    pub burst_rate: u64,
    /// Seconds of the burst.
    #[arg(long, default_value_t = 60)]
    pub burst_seconds: u64,
    /// Seconds for which the warehouse is down, from the burst's start on.
    #[arg(long, default_value_t = 60)]
    pub outage_seconds: u64,
    /// Seconds for which the broker is down, from the middle of the burst on.
    #[arg(long, default_value_t = 30)]
    pub broker_outage_seconds: u64,
    /// Events of one request.
    #[arg(long, default_value_t = 20)]
    pub batch: u64,
    /// Connections that send.
    #[arg(long, default_value_t = 64)]
    pub connections: u64,
    /// Devices.
    #[arg(long, default_value_t = 100_000)]
    pub people: u64,
    /// Seconds for which a refused request is tried again.
    #[arg(long, default_value_t = 5)]
    pub patience_seconds: u64,
    /// Seconds to wait for the rows at the end.
    #[arg(long, default_value_t = 900)]
    pub drain_seconds: u64,
    /// Bytes that an event inside the horizon may take, de-duplication included, in the stated bound.
    #[arg(long, default_value_t = 256)]
    pub bytes_per_event: u64,
}

/// The process itself, in the stated bound.
const PROCESS_BYTES: u64 = 256 << 20;
/// A person at rest, in the stated bound.
const PERSON_BYTES: u64 = 400;

fn main() {
    let options = Options::parse();
    let warehouse = Warehouse { url: options.clickhouse.clone() };
    let server = |name: &str, data: &Option<std::path::PathBuf>| {
        data.clone().map(|data| Server { command: options.scripts.join(name), data })
    };
    let clickhouse = server("dev-clickhouse", &options.clickhouse_data);
    let broker = server("dev-kafka", &options.kafka_data);
    let system = System::start(&Setup {
        label: "burst",
        brokers: options.brokers.as_deref(),
        clickhouse: Some(&options.clickhouse),
        binary: options.millstream.as_deref(),
    });
    let phases = Phases::of(&options);
    let (counts, over) = (Counts::default(), AtomicBool::new(false));
    let started = Instant::now();
    let (acknowledged, samples, drained) = std::thread::scope(|scope| {
        let sampling = scope.spawn(|| samples::take(&system, &counts, &phases, started, &over));
        let burst = started + phases.burst_begins();
        let middle = burst + Duration::from_secs(options.burst_seconds / 2);
        let outages = [(&clickhouse, burst, options.outage_seconds), (&broker, middle, options.broker_outage_seconds)];
        let outages = outages.map(|(server, at, seconds)| {
            scope.spawn(move || server.as_ref().inspect(|server| server.outage(at, seconds)).is_some())
        });
        let acknowledged = load::run(&options, &system, &phases, &counts, started);
        for outage in outages {
            outage.join().expect("the outage ends well");
        }
        let drained = warehouse.wait_for(&system, &acknowledged, options.drain_seconds);
        over.store(true, Ordering::Release);
        (acknowledged, sampling.join().expect("samples are taken"), drained)
    });
    println!("{}", samples::table(&samples));
    let found = warehouse.compare(system.database(), &acknowledged);
    let peak_bytes = samples.iter().filter_map(|sample| sample.resident_bytes).max().unwrap_or(0);
    let events = acknowledged.len() as u64;
    let bound_bytes = PROCESS_BYTES + PERSON_BYTES * options.people + options.bytes_per_event * events;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!("acknowledged           {events} events of {} offered; given up {}", phases.offered(), counts.given_up());
    println!("refused requests       429: {}, 503: {}, no answer: {}", counts.of(429), counts.of(503), counts.of(0));
    println!("rows                   {} missing, {} twice", found.missing, found.twice);
    println!("caught up              {:.0} s after the last request", drained.as_secs_f64());
    println!(
        "memory                 peak {:.0} MiB, bound {:.0} MiB (256 MiB + {PERSON_BYTES} B × {} people + {} B × {events} events)",
        mib(peak_bytes),
        mib(bound_bytes),
        options.people,
        options.bytes_per_event
    );
    system.stop();
    for server in [&clickhouse, &broker].into_iter().flatten() {
        server.stop();
    }
    assert_eq!((found.missing, found.twice), (0, 0), "every acknowledged event is a row, once");
    assert!(peak_bytes > 0 && peak_bytes <= bound_bytes, "memory stays within its bound");
}

/// Whole seconds since the start.
pub fn second(started: Instant) -> u64 {
    started.elapsed().as_secs()
}

/// Sleeps until then; not at all where it has passed.
pub fn sleep_until(at: Instant) {
    std::thread::sleep(at.saturating_duration_since(Instant::now()).max(Duration::ZERO));
}
