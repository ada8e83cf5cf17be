//! A log in memory with all topics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use millstream_deliver::{BatchLimits, DeliverConfig, DeliverError, Deliverer, Sink};
use millstream_runtime::Clock as _;
use millstream_schemas::topics::{Partitions, TOPICS};
use millstream_transports::memory::{MemoryLog, MemorySync};
use millstream_transports::{Append, Batch, Clock, Committed, LocalOptions, Retention, TopicSpec, Transport};

use super::HandClock;

/// Partitions of every partitioned topic.
pub const PARTITIONS: u32 = 2;

pub struct World {
    pub log: MemoryLog,
    pub clock: Arc<HandClock>,
    transactions: AtomicU64,
}

/// A record to append: topic, partition, value.
pub type Put<'a> = (&'a str, u32, Vec<u8>);

impl World {
    pub fn new() -> Self {
        let clock = Arc::new(HandClock::new());
        // Sessions time out by the same clock: a worker that is not stepped for long loses what it owns.
        let hand = clock.clone();
        let options = LocalOptions { clock: Clock::new(move || hand.now_ms()), ..LocalOptions::default() };
        let log = MemoryLog::with_options(options, MemorySync::Immediate);
        let topics: Vec<TopicSpec> = TOPICS
            .iter()
            .map(|topic| TopicSpec {
                name: topic.name.to_owned(),
                partitions: if topic.partitions == Partitions::One { 1 } else { PARTITIONS },
                retention: Retention::Forever,
            })
            .collect();
        log.ensure_topics(&topics).unwrap();
        Self { log, clock, transactions: AtomicU64::new(0) }
    }

    /// Appends in one transaction, so that offsets have gaps as everywhere.
    pub fn append(&self, puts: &[Put<'_>]) {
        let id = format!("test-{}", self.transactions.fetch_add(1, Ordering::Relaxed));
        let topics: Vec<String> = TOPICS.iter().map(|topic| topic.name.to_owned()).collect();
        let mut transaction = self.log.transactions(&id, topics.clone()).unwrap();
        for (topic, partition, value) in puts {
            let topic = topics.iter().position(|name| name == topic).unwrap() as u16;
            let append = Append { topic, partition: *partition, timestamp_ms: 1_600_000_000_000, key: b"k", value };
            transaction.send(append).unwrap();
        }
        assert_eq!(transaction.commit(), millstream_transports::CommitOutcome::Committed);
    }

    pub fn config(&self) -> DeliverConfig {
        let limits = BatchLimits { max_inserts_per_table_and_second: 1_000, ..BatchLimits::clickhouse() };
        DeliverConfig::new("test", "worker-1", limits)
    }

    pub fn deliverer<S: Sink>(&self, sink: S, config: DeliverConfig) -> Deliverer<S> {
        self.deliverer_on(Arc::new(self.log.clone()), sink, config)
    }

    /// On another way to the same log.
    pub fn deliverer_on<S: Sink>(&self, log: Arc<dyn Transport>, sink: S, config: DeliverConfig) -> Deliverer<S> {
        Deliverer::open(log, sink, config, self.clock.clone()).unwrap()
    }

    /// One step, and time goes on far enough for every batch to be old.
    pub fn step<S: Sink>(&self, deliverer: &mut Deliverer<S>) -> Result<usize, DeliverError> {
        let step = deliverer.step(Duration::ZERO)?;
        self.clock.advance(600);
        Ok(step.records)
    }

    /// Steps until all is delivered.
    pub fn deliver_all<S: Sink>(&self, deliverer: &mut Deliverer<S>) -> Result<(), DeliverError> {
        for _ in 0..2_000 {
            self.step(deliverer)?;
            if deliverer.caught_up()? {
                return Ok(());
            }
        }
        panic!("not caught up after 2,000 steps: {:?}", deliverer.stats());
    }

    /// A deliverer that delivers everything there is and leaves.
    pub fn deliver<S: Sink>(&self, sink: S) {
        let mut deliverer = self.deliverer(sink, self.config());
        self.deliver_all(&mut deliverer).unwrap();
        deliverer.close().unwrap();
    }

    pub fn committed(&self, topic: &str, partition: u32) -> Option<Committed> {
        self.log.committed("deliver-test", topic, partition).unwrap()
    }

    /// All committed values of a topic.
    pub fn values(&self, topic: &str) -> Vec<Vec<u8>> {
        let mut values = Vec::new();
        for partition in 0..PARTITIONS {
            let mut reader = self.log.reader(topic, partition, 0).unwrap();
            let mut batch = Batch::new();
            while !reader.at_end().unwrap() {
                reader.poll(Duration::from_millis(10), &mut batch).unwrap();
                values.extend(batch.iter().map(|record| record.value.to_vec()));
            }
        }
        values
    }
}
