//! What the process counts, kept current for the metrics page.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use millstream_ingest::{IngestFactory, fates::Fate};
use millstream_runtime::WorkerStats;
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
                "Counts of a stage in this process: records processed, replayed, produced, diverted; epochs committed, aborted; offsets that somebody else had committed; keys in state; partitions owned",
                &["stage", "what"],
            )?,
            fates: gauge("millstream_ingest_fates", "What became of collected records in this process", &["fate"])?,
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
        let counts: [Count; 9] = [
            ("processed", |stats| stats.processed.load(Ordering::Relaxed)),
            ("replayed", |stats| stats.replayed.load(Ordering::Relaxed)),
            ("produced", |stats| stats.produced.load(Ordering::Relaxed)),
            ("diverted", |stats| stats.diverted.load(Ordering::Relaxed)),
            ("commits", |stats| stats.commits.load(Ordering::Relaxed)),
            ("aborts", |stats| stats.aborts.load(Ordering::Relaxed)),
            ("foreign_commits", |stats| stats.foreign_commits.load(Ordering::Relaxed)),
            ("state_keys", |stats| stats.state_keys.load(Ordering::Relaxed)),
            ("owned_partitions", |stats| stats.owned.load(Ordering::Relaxed)),
        ];
        for (what, read) in counts {
            let sum: u64 = workers.iter().map(|stats| read(stats)).sum();
            self.stage.with_label_values(&[name, what]).set(signed(sum));
        }
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
