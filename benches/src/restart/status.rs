//! What the killed process says of itself, a JSON object a line.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use millstream_runtime::{Pauses, WorkerStats};
use serde_json::{Value, json};

/// Counts of all workers, and the process's resident memory.
pub fn of(what: &str, workers: &[Arc<WorkerStats>]) -> Value {
    let sum = |read: fn(&WorkerStats) -> u64| -> u64 { workers.iter().map(|stats| read(stats)).sum() };
    let pauses = workers.iter().map(|stats| &stats.snapshot_pauses);
    let pause_us = |share| Pauses::quantile_us(pauses.clone(), share);
    json!({
        "what": what,
        "processed": sum(|stats| stats.processed.load(Ordering::Relaxed)),
        "replayed": sum(|stats| stats.replayed.load(Ordering::Relaxed)),
        "restored": sum(|stats| stats.restored.load(Ordering::Relaxed)),
        "taken_warm": sum(|stats| stats.taken_warm.load(Ordering::Relaxed)),
        "keys": sum(|stats| stats.state_keys.load(Ordering::Relaxed)),
        "snapshots": sum(|stats| stats.snapshots.load(Ordering::Relaxed)),
        "snapshots_failed": sum(|stats| stats.snapshots_failed.load(Ordering::Relaxed)),
        "snapshot_bytes": sum(|stats| stats.snapshot_bytes.load(Ordering::Relaxed)),
        "snapshot_pauses": pauses.clone().map(Pauses::count).sum::<u64>(),
        "snapshot_pause_p50_us": pause_us(0.5),
        "snapshot_pause_p99_us": pause_us(0.99),
        "snapshot_pause_max_us": pause_us(1.0),
        "resident_bytes": resident_bytes(),
    })
}

fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4_096
}
