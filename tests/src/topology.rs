//! Ingest and profile on an in-memory log, stepped by the test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use millstream_ingest::{IngestConfig, IngestFactory, IngestTopics};
use millstream_profile::{ProfileConfig, ProfileFactory, ProfileTopics};
use millstream_runtime::{Clock, EpochLimits, StageFactory, Step, Worker, WorkerConfig};
use millstream_schemas::input_key::{InputIdentity, input_key};
use millstream_schemas::topics::TOPICS;
use millstream_schemas::{Collected, Tick};
use millstream_transports::memory::MemoryLog;
use millstream_transports::{Append, Retention, TopicSpec, Transport, partition_for};

pub use millstream_simulation::committed::{Committed, read};

/// The shop of all tests.
pub const SITE: &str = "shop";
/// The input topic.
pub const COLLECTED: &str = "events.collected";

/// A topic's description.
pub fn spec(name: &str, partitions: u32) -> TopicSpec {
    TopicSpec { name: name.to_owned(), partitions, retention: Retention::Forever }
}

/// The stages with default settings.
pub fn factories(partitions: u32) -> (IngestFactory, ProfileFactory) {
    let ingest = IngestFactory::new(IngestConfig::new(IngestTopics {
        collected: spec(COLLECTED, partitions),
        events: spec("events", partitions),
        rejected: spec("events.rejected", partitions),
        identity: spec("identity", partitions),
        ledger: spec("ledger", partitions),
    }));
    let profile = ProfileFactory::new(ProfileConfig::new(ProfileTopics::of(|name| spec(name, partitions))));
    (ingest, profile)
}

/// A clock that goes on by a millisecond at each look.
#[derive(Debug, Default)]
pub struct CountingClock(AtomicU64);

impl Clock for CountingClock {
    fn now_ms(&self) -> i64 {
        0
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// The two stages on one log.
pub struct Topology {
    /// The log.
    pub log: MemoryLog,
    transport: Arc<dyn Transport>,
    partitions: u32,
    epoch_max_ms: u64,
    workers: Vec<Worker>,
}

impl Topology {
    /// An empty log with all topics and one worker a stage; epochs end after `epoch_max_ms` looks at the clock.
    pub fn new(partitions: u32, epoch_max_ms: u64) -> Self {
        let log = MemoryLog::new();
        let transport: Arc<dyn Transport> = Arc::new(log.clone());
        let topics: Vec<TopicSpec> = TOPICS.iter().map(|topic| spec(topic.name, partitions)).collect();
        transport.ensure_topics(&topics).unwrap();
        let mut topology = Self { log, transport, partitions, epoch_max_ms, workers: Vec::new() };
        topology.restart();
        topology
    }

    /// Drops both workers without a word, whatever they were at, and starts others.
    pub fn restart(&mut self) {
        self.workers.clear();
        let (ingest, profile) = factories(self.partitions);
        let stages: [Arc<dyn StageFactory>; 2] = [Arc::new(ingest), Arc::new(profile)];
        for stage in stages {
            let config = WorkerConfig {
                namespace: String::new(),
                instance_id: "test".to_owned(),
                limits: EpochLimits { max_ms: self.epoch_max_ms, ..EpochLimits::default() },
                tick_after_ms: None,
                max_poisoned: 0,
                snapshots: None,
                standbys: None,
            };
            let clock = Arc::new(CountingClock::default());
            self.workers.push(Worker::new(Arc::clone(&self.transport), stage, clock, config).unwrap());
        }
    }

    /// One step of the ingest (0) or profile (1) worker.
    pub fn step(&mut self, stage: usize) -> Step {
        self.workers[stage].step().unwrap()
    }

    /// Steps both until neither has anything to do.
    pub fn drain(&mut self) {
        let mut idle = 0;
        while idle < 2 {
            let steps = [self.step(0), self.step(1)];
            idle = if steps == [Step::Idle, Step::Idle] { idle + 1 } else { 0 };
        }
    }

    /// Appends one record of `events.collected` as collect would.
    pub fn collect(&self, record: &CollectedEvent) {
        let mut key = Vec::new();
        input_key(SITE, InputIdentity { device: Some(&record.device), ..InputIdentity::default() }, &mut key);
        let mut value = Vec::new();
        record.encode(&mut value);
        self.append(partition_for(&key, self.partitions), record.received_at, &key, &value);
    }

    /// Lets time pass to `time_ms` in every partition.
    pub fn tick(&self, time_ms: i64) {
        let mut value = Vec::new();
        Tick { origin: "live", time: time_ms }.encode_framed(Tick::ID, &mut value);
        for partition in 0..self.partitions {
            self.append(partition, time_ms, &[], &value);
        }
    }

    fn append(&self, partition: u32, timestamp_ms: i64, key: &[u8], value: &[u8]) {
        let appender = self.transport.appender(vec![COLLECTED.to_owned()]).unwrap();
        let append = Append { topic: 0, partition, timestamp_ms, key, value };
        appender.append(&[append], Box::new(|result| result.unwrap())).unwrap();
    }
}

/// An event as a test gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectedEvent {
    /// Device.
    pub device: String,
    /// Receive time, milliseconds.
    pub received_at: i64,
    /// The event's JSON.
    pub payload: String,
}

impl CollectedEvent {
    fn encode(&self, value: &mut Vec<u8>) {
        let collected = Collected {
            site: SITE,
            origin: "http",
            received_at: self.received_at,
            sent_at: Some(self.received_at),
            data_set: None,
            file: None,
            line: None,
            user_agent: None,
            ip: None,
            global_privacy_control: false,
            payload: self.payload.as_bytes(),
        };
        collected.encode_framed(Collected::ID, value);
    }
}
