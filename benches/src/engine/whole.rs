//! Both stages with log, epochs and undo: what a core does.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_ingest::{IngestConfig, IngestFactory, IngestTopics};
use millstream_profile::{ProfileConfig, ProfileFactory, ProfileTopics};
use millstream_runtime::{EpochLimits, StageFactory, SystemClock, Worker, WorkerConfig};
use millstream_schemas::topics::TOPICS;
use millstream_scoring::Model;
use millstream_scoring::builtin::PROPENSITY;
use millstream_transports::memory::MemoryLog;
use millstream_transports::{Retention, TopicSpec, Transport};

use crate::traffic::{Collectable, Traffic, append};
use crate::{Options, cpu};

/// What the measured part took.
pub struct Whole {
    pub cpu_ns: u64,
    /// Pages that the kernel had to provide.
    pub page_faults: u64,
    /// Records produced, by stage.
    pub outputs: BTreeMap<&'static str, u64>,
}

/// Events appended before the workers run: what comes in within 20 ms, an epoch's limit, at 250,000 events a second.
pub const ROUND: u64 = 5_000;

/// Each stage's group and input, in the order of the workers.
const INPUTS: [(&str, &str); 2] = [("ingest", "events.collected"), ("profile", "events")];

fn spec(name: &str, partitions: u32) -> TopicSpec {
    TopicSpec { name: name.to_owned(), partitions, retention: Retention::Forever }
}

/// The stages with default settings; sessions are scored by the shipped model, or with `heuristic` by the fallback.
pub fn factories(partitions: u32, heuristic: bool) -> (IngestFactory, ProfileFactory) {
    let ingest = IngestFactory::new(IngestConfig::new(IngestTopics {
        collected: spec("events.collected", partitions),
        events: spec("events", partitions),
        rejected: spec("events.rejected", partitions),
        identity: spec("identity", partitions),
        ledger: spec("ledger", partitions),
    }));
    let mut profile = ProfileConfig::new(ProfileTopics::of(|name| spec(name, partitions)));
    if !heuristic {
        profile.scorer = Arc::new(Model::load(PROPENSITY).expect("the shipped artefact is well-formed"));
    }
    (ingest, ProfileFactory::new(profile))
}

/// A worker with default limits.
pub fn worker(transport: &Arc<dyn Transport>, factory: Arc<dyn StageFactory>, namespace: &str) -> Worker {
    let config = WorkerConfig {
        namespace: namespace.to_owned(),
        instance_id: "bench".to_owned(),
        limits: EpochLimits::default(),
        tick_after_ms: None,
        max_poisoned: 0,
        snapshots: None,
        standbys: None,
    };
    Worker::new(Arc::clone(transport), factory, Arc::new(SystemClock::new()), config)
        .expect("the in-memory log takes members")
}

/// What has been consumed may go: otherwise fresh memory for the log would be most of what is measured.
fn forget(log: &MemoryLog, partitions: u32) {
    for topic in TOPICS {
        for partition in 0..partitions {
            let end = log.end_offset(topic.name, partition).expect("the topic exists");
            log.drop_below(topic.name, partition, end).expect("the topic exists");
        }
    }
}

/// Whether the group has committed everything that is in its input. A transaction's marker may lie behind the last record.
fn is_caught_up(log: &MemoryLog, group: &str, input: &str, partitions: u32) -> bool {
    (0..partitions).all(|partition| {
        let committed = log.committed(group, input, partition).expect("the topic exists");
        let end = log.end_offset(input, partition).expect("the topic exists");
        committed.map_or(0, |committed| committed.offset) + 1 >= end
    })
}

/// Runs the stages in turn until both have committed all of their input. A worker that has nothing to read is left alone: its poll
/// would wait, the caches would cool down meanwhile, and the other one's epoch would run out.
fn drain(workers: &mut [Worker], log: &MemoryLog, partitions: u32) {
    loop {
        let mut idle = true;
        for (worker, (group, input)) in workers.iter_mut().zip(INPUTS) {
            if !is_caught_up(log, group, input, partitions) {
                worker.step().expect("the in-memory log does not fail");
                idle = false;
            }
        }
        if idle {
            return;
        }
    }
}

pub fn measure(options: &Options) -> Whole {
    let log = MemoryLog::new();
    let transport: Arc<dyn Transport> = Arc::new(log.clone());
    let topics: Vec<TopicSpec> = TOPICS.iter().map(|topic| spec(topic.name, options.partitions)).collect();
    transport.ensure_topics(&topics).expect("topics are new");
    let (ingest, profile) = factories(options.partitions, options.heuristic);
    let mut workers = [worker(&transport, Arc::new(ingest), ""), worker(&transport, Arc::new(profile), "")];
    let appender = transport.appender(vec!["events.collected".to_owned()]).expect("the topic exists");
    let mut traffic = Traffic::new(options.seed, options.people, options.partitions);
    let mut run = |workers: &mut [Worker], events: u64| {
        let (mut cpu_ns, mut page_faults) = (0, 0);
        let mut left = events;
        while left > 0 {
            let round: Vec<Collectable> = (0..left.min(ROUND)).map(|_| traffic.next_event()).collect();
            left -= round.len() as u64;
            append(appender.as_ref(), &round);
            let faults_before = cpu::page_faults();
            cpu_ns += cpu::of(|| drain(workers, &log, options.partitions)).1;
            page_faults += cpu::page_faults() - faults_before;
            forget(&log, options.partitions);
        }
        (cpu_ns, page_faults)
    };
    run(&mut workers, options.people);
    let before: Vec<u64> = workers.iter().map(produced).collect();
    let (cpu_ns, page_faults) = run(&mut workers, options.events);
    let outputs = ["ingest", "profile"]
        .into_iter()
        .zip(workers.iter().zip(before))
        .map(|(name, (worker, before))| (name, produced(worker) - before));
    Whole { cpu_ns, page_faults, outputs: outputs.collect() }
}

fn produced(worker: &Worker) -> u64 {
    worker.stats().produced.load(std::sync::atomic::Ordering::Relaxed)
}
