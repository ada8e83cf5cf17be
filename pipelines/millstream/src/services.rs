//! Threads of one process: workers of the stages and delivery, started and stopped together.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use millstream_runtime::{
    Clock, EpochLimits, StageFactory, StandbyKeeper, Standbys, Worker, WorkerConfig, WorkerStats,
};
use millstream_transports::Transport;

use crate::config::Config;
use crate::error::Failure;
use crate::snapshots;

/// The stages, in the order in which records pass them.
pub const STAGES: [&str; 2] = ["ingest", "profile"];
/// Panics on one partition after which a worker stops it.
const MAX_POISONED: usize = 100;
/// How long an idle, fully read input waits before it is told that time passes.
const TICK_AFTER_MS: u64 = 1_000;

/// What the services of a process share.
pub struct Services {
    stop: Arc<AtomicBool>,
    failed: Arc<AtomicBool>,
    threads: Vec<(String, JoinHandle<Result<(), String>>)>,
    stages: Vec<StageHandle>,
}

/// A running stage.
pub struct StageHandle {
    /// The stage's name.
    pub name: &'static str,
    /// One for each worker.
    pub workers: Vec<Arc<WorkerStats>>,
}

impl StageHandle {
    fn sum(&self, read: impl Fn(&WorkerStats) -> u64) -> u64 {
        self.workers.iter().map(|stats| read(stats)).sum()
    }

    /// Records processed live by all workers.
    pub fn processed(&self) -> u64 {
        self.sum(|stats| stats.processed.load(Ordering::Relaxed))
    }

    /// Rounds in which every worker with partitions found its input read to the end.
    fn caught_up_checks(&self) -> u64 {
        self.workers
            .iter()
            .filter(|stats| stats.owned.load(Ordering::Acquire) > 0)
            .map(|stats| stats.caught_up_checks.load(Ordering::Acquire))
            .min()
            .unwrap_or(0)
    }
}

impl Services {
    /// Nothing runs yet.
    pub fn new() -> Self {
        Self {
            stop: Arc::new(AtomicBool::new(false)),
            failed: Arc::new(AtomicBool::new(false)),
            threads: Vec::new(),
            stages: Vec::new(),
        }
    }

    /// Starts the configured number of workers of one stage.
    ///
    /// # Errors
    /// Where the log refuses, or snapshots cannot be kept where they should.
    pub fn start_stage(
        &mut self,
        config: &Config,
        transport: &Arc<dyn Transport>,
        factory: Arc<dyn StageFactory>,
        clock: &Arc<dyn Clock>,
    ) -> Result<(), Failure> {
        let snapshots = snapshots::settings(config)?;
        let standbys = snapshots.as_ref().filter(|_| config.snapshots.standby).map(|settings| {
            let standbys = Arc::new(Standbys::new());
            let (transport, factory) = (Arc::clone(transport), Arc::clone(&factory));
            let (store, namespace) = (Arc::clone(&settings.store), config.namespace.clone());
            let keeper = StandbyKeeper::new(transport, factory, store, namespace, Arc::clone(&standbys));
            self.start(&format!("{}-standby", keeper.stage()), move |stop| {
                keeper.run(stop);
                Ok(())
            });
            standbys
        });
        let name = factory.name();
        let mut workers = Vec::new();
        for index in 0..config.workers {
            let worker = Worker::new(
                Arc::clone(transport),
                Arc::clone(&factory),
                Arc::clone(clock),
                WorkerConfig {
                    namespace: config.namespace.clone(),
                    instance_id: format!("{}-{index}", config.instance_name()),
                    limits: EpochLimits { max_ms: config.epoch_max_ms, ..EpochLimits::default() },
                    tick_after_ms: config.live.then_some(TICK_AFTER_MS),
                    max_poisoned: MAX_POISONED,
                    standbys: standbys.clone(),
                    snapshots: snapshots.clone(),
                },
            )?;
            workers.push(worker.stats());
            let stop = Arc::clone(&self.stop);
            self.spawn(format!("{name}-{index}"), move || worker.run(&stop).map_err(|error| error.to_string()));
        }
        self.stages.push(StageHandle { name, workers });
        Ok(())
    }

    /// Starts any other service; it must end soon after the flag it is given is set.
    pub fn start(&mut self, name: &str, run: impl FnOnce(&AtomicBool) -> Result<(), String> + Send + 'static) {
        let stop = Arc::clone(&self.stop);
        self.spawn(name.to_owned(), move || run(&stop));
    }

    fn spawn(&mut self, name: String, run: impl FnOnce() -> Result<(), String> + Send + 'static) {
        let failed = Arc::clone(&self.failed);
        let label = name.clone();
        let handle = std::thread::spawn(move || {
            // A service that panics must not leave the others accepting what nobody processes.
            let result =
                catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err("panicked; see the log above".to_owned()));
            if let Err(error) = &result {
                tracing::error!(service = label, %error, "service ended");
                failed.store(true, Ordering::Release);
            }
            result
        });
        self.threads.push((name, handle));
    }

    /// Whether a service has ended with an error; the process should stop then.
    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// A running stage by name.
    pub fn stage(&self, name: &str) -> Option<&StageHandle> {
        self.stages.iter().find(|stage| stage.name == name)
    }

    /// Counters of every running stage.
    pub fn stage_stats(&self) -> Vec<(&'static str, Vec<Arc<WorkerStats>>)> {
        self.stages.iter().map(|stage| (stage.name, stage.workers.clone())).collect()
    }

    /// Waits until this process owns so many partitions of a stage. False where that has not come within `patience`, because another
    /// process has the rest, or a service failed.
    pub fn owns(&self, name: &str, partitions: u32, patience: Duration) -> bool {
        let Some(stage) = self.stage(name) else { return false };
        let began = Instant::now();
        while stage.sum(|stats| stats.owned.load(Ordering::Acquire)) < u64::from(partitions) {
            if self.failed() || began.elapsed() > patience {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// Waits until the stage has processed everything that is in its input now; returns early when a service fails.
    pub fn drain_stage(&self, name: &str, mut progress: impl FnMut(&StageHandle)) {
        let Some(stage) = self.stage(name) else { return };
        let asked_at = stage.caught_up_checks();
        while stage.caught_up_checks() < asked_at + 2 && !self.failed() {
            progress(stage);
            std::thread::sleep(Duration::from_millis(20));
        }
        progress(stage);
    }

    /// Asks everything to finish its epoch and end, and waits for it.
    ///
    /// # Errors
    /// The first service's error, with its name.
    pub fn stop(self) -> Result<(), String> {
        self.stop.store(true, Ordering::Release);
        let mut first = Ok(());
        for (name, thread) in self.threads {
            let ended = match thread.join() {
                Ok(result) => result.map_err(|error| format!("{name}: {error}")),
                Err(_) => Err(format!("{name}: panicked; see the log")),
            };
            if first.is_ok() {
                first = ended;
            }
        }
        first
    }
}
