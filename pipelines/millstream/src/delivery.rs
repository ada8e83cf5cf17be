//! The delivery service: one deliverer on a thread of its own, which can be asked to catch up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use millstream_deliver::{BatchLimits, ClickHouse, DeliverConfig, DeliverMetrics, Deliverer, Sink};
use millstream_runtime::Clock;
use millstream_schemas::{SchemaIds, purposes};
use millstream_transports::Transport;

use crate::config::Config;
#[cfg(feature = "kafka")]
use crate::config::WarehouseKind;
use crate::error::Failure;
use crate::topology;

/// The sinks, as their groups and metrics name them.
pub const PARQUET: &str = "parquet";
/// The same.
pub const CLICKHOUSE: &str = "clickhouse";

/// How long one step waits for records.
const POLL: Duration = Duration::from_millis(50);

/// Waits for a warehouse that is down grow from a tenth of a second to as many.
const TENTH: Duration = Duration::from_millis(100);
const MOST_TENTHS: u32 = 50;

/// What other threads see of a running deliverer, and how they ask.
#[derive(Debug, Default)]
pub struct DeliveryHandle {
    /// Set: open batches are written at once, however young.
    hurry: AtomicBool,
    /// How often everything committed was found in the warehouse.
    caught_up_checks: AtomicU64,
    /// Rows delivered.
    rows: AtomicU64,
}

impl DeliveryHandle {
    /// Rows delivered so far.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Waits until everything that is committed now is in the warehouse, or until `gave_up` says so.
    pub fn catch_up(&self, gave_up: impl Fn() -> bool) {
        let asked_at = self.caught_up_checks.load(Ordering::Acquire);
        self.hurry.store(true, Ordering::Release);
        while self.caught_up_checks.load(Ordering::Acquire) < asked_at + 2 && !gave_up() {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.hurry.store(false, Ordering::Release);
    }
}

/// The deliverer's settings.
///
/// # Errors
/// Where the purposes or limits make no sense.
pub fn deliver_config(
    config: &Config,
    sink: &str,
    defaults: BatchLimits,
    ids: &SchemaIds,
) -> Result<DeliverConfig, Failure> {
    let section = &config.deliver;
    let limits = BatchLimits {
        max_age_ms: section.max_age_ms,
        max_rows: section.max_rows,
        max_bytes: section.max_bytes,
        // Room for two batches, however large they were made.
        max_buffered_bytes: defaults.max_buffered_bytes.max(section.max_bytes.saturating_mul(2)),
        ..defaults
    };
    let required_purposes =
        section.purposes.iter().filter_map(|name| purposes::parse(name)).fold(0, |all, bit| all | bit);
    let base = DeliverConfig::new(sink, config.instance_name(), limits);
    Ok(DeliverConfig {
        group: group(config, sink),
        topic_prefix: config.namespace.clone(),
        required_purposes,
        schema_ids: ids.clone(),
        ..base
    })
}

/// The consumer group that delivers into `sink`.
pub fn group(config: &Config, sink: &str) -> String {
    topology::name(config, &DeliverConfig::new(sink, config.instance_name(), BatchLimits::parquet()).group)
}

/// The sink of the configured warehouse.
#[cfg(feature = "kafka")]
pub fn sink(config: &Config) -> &'static str {
    match config.warehouse {
        WarehouseKind::Embedded => PARQUET,
        WarehouseKind::Clickhouse => CLICKHOUSE,
    }
}

/// Brings the tables up to date. A server that is down is waited for, and events are collected meanwhile: that is lag. False where
/// `stop` was set first.
///
/// # Errors
/// What waiting does not mend, such as a refused login.
pub fn migrate(client: &ClickHouse, stop: &AtomicBool) -> Result<bool, String> {
    let mut attempt: u32 = 0;
    while !stop.load(Ordering::Acquire) {
        match client.migrate() {
            Ok(_) => return Ok(true),
            Err(error) if error.passes() => {
                attempt += 1;
                // Said ever more rarely: an outage must not flood the log.
                if attempt.is_power_of_two() {
                    tracing::warn!(%error, attempt, "delivery waits for the warehouse");
                }
            }
            Err(error) => return Err(error.to_string()),
        }
        let tenths = attempt.min(MOST_TENTHS);
        (0..tenths).take_while(|_| !stop.load(Ordering::Acquire)).for_each(|_| std::thread::sleep(TENTH));
    }
    Ok(false)
}

/// Delivers until `stop` is set, then writes what is open and leaves the group.
///
/// # Errors
/// Where going on would lose or double rows, or the log fails for good.
pub fn run<S: Sink>(
    transport: Arc<dyn Transport>,
    sink: S,
    config: DeliverConfig,
    clock: Arc<dyn Clock>,
    metrics: DeliverMetrics,
    handle: &DeliveryHandle,
    stop: &AtomicBool,
) -> Result<(), String> {
    let words = |error: millstream_deliver::DeliverError| error.to_string();
    let mut deliverer = Deliverer::open(transport, sink, config, clock).map_err(words)?.observed_by(metrics);
    while !stop.load(Ordering::Acquire) {
        let step = deliverer.step(POLL).map_err(words)?;
        if handle.hurry.load(Ordering::Acquire) && step.records == 0 {
            deliverer.flush_open().map_err(words)?;
            if deliverer.caught_up().map_err(words)? {
                handle.caught_up_checks.fetch_add(1, Ordering::Release);
            }
        }
        handle.rows.store(deliverer.stats().rows(), Ordering::Relaxed);
        if step.stalled {
            std::thread::sleep(POLL);
        }
    }
    deliverer.flush_open().map_err(words)?;
    deliverer.close().map_err(words)
}
