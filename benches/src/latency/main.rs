//! From an event's HTTP request to its committed score through a real Kafka, and to its row in ClickHouse: open-loop, at half of what
//! this machine can do.
//!
//! `scripts/with-servers kafka clickhouse -- cargo run --release -p millstream-benches --features kafka --bin latency`
//!
//! Open-loop: events are due at fixed times whether or not the system keeps up, and an event's clock starts when it is due. A sender
//! that had to wait makes every event behind it late, and that counts (no coordinated omission).

#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a benchmark prints, and has nobody to report an error to"
)]

mod quantiles;
mod scores;
mod sending;
mod visible;

use std::time::Duration;

use clap::Parser;
use millstream_benches::system::{Setup, System};
use serde_json::json;

use crate::quantiles::Quantiles;

/// Measures event → committed score, and event → visible in ClickHouse.
#[derive(Debug, Parser)]
pub struct Options {
    /// The broker.
    #[arg(long, env = "KAFKA_BROKERS")]
    pub brokers: String,
    /// ClickHouse's HTTP address; without it only scores are measured.
    #[arg(long, env = "CLICKHOUSE_URL")]
    pub clickhouse: Option<String>,
    /// The `millstream` binary; by default the one beside this program.
    #[arg(long)]
    pub millstream: Option<std::path::PathBuf>,
    /// Events a second; by default half of the measured capacity.
    #[arg(long)]
    pub rate: Option<u64>,
    /// Seconds of measured load.
    #[arg(long, default_value_t = 60)]
    pub seconds: u64,
    /// Seconds of load before that, not measured.
    #[arg(long, default_value_t = 10)]
    pub warm_up_seconds: u64,
    /// Events of one request, all of one device, as a tracker batches them.
    #[arg(long, default_value_t = 5)]
    pub batch: u64,
    /// Connections that send.
    #[arg(long, default_value_t = 16)]
    pub connections: u64,
    /// Devices.
    #[arg(long, default_value_t = 100_000)]
    pub people: u64,
    /// Events with which capacity is measured.
    #[arg(long, default_value_t = 100_000)]
    pub capacity_events: u64,
    /// Only one JSON object.
    #[arg(long)]
    pub json: bool,
}

fn main() {
    let options = Options::parse();
    let system = System::start(&Setup {
        label: "latency",
        brokers: Some(&options.brokers),
        clickhouse: options.clickhouse.as_deref(),
        binary: options.millstream.as_deref(),
    });
    let log = scores::ScoreLog::follow(&options.brokers, &system.topic("scores.propensity"));
    // Rows appear while capacity is measured, too: the load of the warehouse is part of it.
    let capacity = sending::capacity(&options, &system, &log);
    let rate = options.rate.unwrap_or(capacity / 2).max(1);
    let warm_up = sending::open_loop(&options, &system, rate, options.warm_up_seconds, "warm", None);
    log.wait_for(&warm_up, Duration::from_secs(30));
    let watch = options.clickhouse.as_deref().map(|url| visible::Watch::start(url, system.database()));
    let sent = sending::open_loop(&options, &system, rate, options.seconds, "load", watch.as_ref());
    let missing = log.wait_for(&sent, Duration::from_secs(30));
    let score = Quantiles::of(log.latencies_ms(&sent));
    let visible = watch.map(|watch| watch.finish(Duration::from_secs(30)));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    if options.json {
        let visible = visible.as_ref().map(|(quantiles, unseen)| json!({"rows": quantiles.json(), "unseen": unseen}));
        println!(
            "{}",
            json!({"capacity_events_per_second": capacity, "rate_events_per_second": rate, "cores": cores, "unscored": missing,
                "score_ms": score.json(), "clickhouse_ms": visible})
        );
    } else {
        println!(
            "{cores} cores shared by load, broker, warehouse and Millstream; requests of {} events",
            options.batch
        );
        println!("capacity                     {capacity} events/s; load {rate} events/s for {} s", options.seconds);
        println!("event → committed score      {score}; {missing} unscored");
        if let Some((quantiles, unseen)) = visible {
            println!("event → row in ClickHouse    {quantiles}; {unseen} unseen");
        }
    }
    system.stop();
    assert_eq!(missing, 0, "every acknowledged informative event is scored");
}
