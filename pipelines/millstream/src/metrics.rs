//! What the process counts, kept current for the metrics page.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use millstream_ingest::{IngestFactory, fates::Fate};
use millstream_runtime::{Pauses, WorkerStats};
use prometheus::{IntGaugeVec, Opts, Registry};

use crate::delivery::DeliveryHandle;

/// A name and how to read it.
type Count = (&'static str, fn(&WorkerStats) -> u64);

const REFRESH: Duration = Duration::from_millis(500);

/// Gauges of stages, fates and delivery.
pub struct ProcessMetrics {
    stage: IntGaugeVec,
    fates: IntGaugeVec,
    delivered: IntGaugeVec,
    snapshot_at: IntGaugeVec,
    watermark: IntGaugeVec,
    budget: IntGaugeVec,
}

impl ProcessMetrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// Where `registry` has metrics of the same name.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str, labels: &[&str]| -> Result<IntGaugeVec, prometheus::Error> {
            let gauge = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        Ok(Self {
            stage: gauge(
                "millstream_stage",
                "Counts of a stage in this process: records processed, replayed, produced, diverted; epochs committed, aborted; times it joined anew; offsets that somebody else had committed; keys in state; partitions owned; partitions taken over from a warm standby, restored from a snapshot; snapshots written, failed, their bytes, and the waits for a slice of one in microseconds, 99th percentile and longest",
                &["stage", "what"],
            )?,
            fates: gauge("millstream_ingest_fates", "What became of collected records in this process", &["fate"])?,
            snapshot_at: gauge(
                "millstream_snapshot_timestamp_seconds",
                "When the stalest owned partition's newest snapshot was written (at first: when the partition was loaded)",
                &["stage"],
            )?,
            watermark: gauge(
                "millstream_stage_watermark_seconds",
                "The lowest watermark of the stage's owned partitions, seconds since the epoch; 0 where there is none yet",
                &["stage"],
            )?,
            budget: gauge(
                "millstream_stage_budget_percent",
                "How full the fullest partition's memory is that must not overflow; above 100 the stage stops",
                &["stage"],
            )?,
            delivered: gauge("millstream_deliver_rows", "Rows delivered by this process", &["sink"])?,
        })
    }

    /// Refreshes until `stop` is set.
    pub fn run(
        &self,
        stages: &[(&'static str, Vec<Arc<WorkerStats>>)],
        ingest: Option<&IngestFactory>,
        delivery: Option<&DeliveryHandle>,
        stop: &AtomicBool,
    ) {
        while !stop.load(Ordering::Acquire) {
            for (name, workers) in stages {
                self.refresh_stage(name, workers);
            }
            if let Some(ingest) = ingest {
                for fate in Fate::ALL {
                    self.fates.with_label_values(&[fate.name()]).set(signed(ingest.fates().get(fate)));
                }
            }
            if let Some(delivery) = delivery {
                self.delivered.with_label_values(&["warehouse"]).set(signed(delivery.rows()));
            }
            std::thread::sleep(REFRESH);
        }
    }

    fn refresh_stage(&self, name: &str, workers: &[Arc<WorkerStats>]) {
        let counts: [Count; 15] = [
            ("processed", |stats| stats.processed.load(Ordering::Relaxed)),
            ("replayed", |stats| stats.replayed.load(Ordering::Relaxed)),
            ("produced", |stats| stats.produced.load(Ordering::Relaxed)),
            ("diverted", |stats| stats.diverted.load(Ordering::Relaxed)),
            ("commits", |stats| stats.commits.load(Ordering::Relaxed)),
            ("aborts", |stats| stats.aborts.load(Ordering::Relaxed)),
            ("rejoins", |stats| stats.rejoins.load(Ordering::Relaxed)),
            ("foreign_commits", |stats| stats.foreign_commits.load(Ordering::Relaxed)),
            ("state_keys", |stats| stats.state_keys.load(Ordering::Relaxed)),
            ("owned_partitions", |stats| stats.owned.load(Ordering::Relaxed)),
            ("taken_warm", |stats| stats.taken_warm.load(Ordering::Relaxed)),
            ("restored", |stats| stats.restored.load(Ordering::Relaxed)),
            ("snapshots", |stats| stats.snapshots.load(Ordering::Relaxed)),
            ("snapshots_failed", |stats| stats.snapshots_failed.load(Ordering::Relaxed)),
            ("snapshot_bytes", |stats| stats.snapshot_bytes.load(Ordering::Relaxed)),
        ];
        for (what, read) in counts {
            let sum: u64 = workers.iter().map(|stats| read(stats)).sum();
            self.stage.with_label_values(&[name, what]).set(signed(sum));
        }
        let watermarks =
            workers.iter().map(|stats| stats.watermark_ms.load(Ordering::Relaxed)).filter(|at_ms| *at_ms > 0);
        self.watermark.with_label_values(&[name]).set(watermarks.min().unwrap_or(0) / 1_000);
        let fullest = workers.iter().map(|stats| stats.budget_percent.load(Ordering::Relaxed)).max();
        self.budget.with_label_values(&[name]).set(signed(fullest.unwrap_or(0)));
        let pauses = workers.iter().map(|stats| &stats.snapshot_pauses);
        let pause_us = |share| signed(Pauses::quantile_us(pauses.clone(), share).unwrap_or(0));
        self.stage.with_label_values(&[name, "snapshot_slice_p99_us"]).set(pause_us(0.99));
        self.stage.with_label_values(&[name, "snapshot_slice_max_us"]).set(pause_us(1.0));
        let stalest = workers.iter().map(|stats| stats.snapshot_oldest_at_ms.load(Ordering::Relaxed));
        if let Some(stalest_ms) = stalest.filter(|at_ms| *at_ms > 0).min() {
            self.snapshot_at.with_label_values(&[name]).set(stalest_ms / 1_000);
        }
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
