//! Who waits for whom: order under backlogs, tables in trouble, a log that fails, names used twice, and what metrics say of it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millstream_deliver::{BatchId, BatchLimits, Cause, DeliverError, DeliverMetrics, Holding, Row, Sink, SinkError};
use millstream_schemas::{RecordSchema, Rejected};
use millstream_transports::{
    Append, Appender, Batch, Change, CommitOutcome, Committed, Member, MemberConfig, OffsetCommit, Reader,
    Result as LogResult, TopicPartition, TopicSpec, Transactions, Transport, TransportError,
};

use crate::notes::Notes;
use crate::support::records::{order, session};
use crate::support::world::{Put, World};
use crate::support::{Trouble, Troubled};

/// Notes that refuse some tables.
#[derive(Default)]
struct Picky {
    notes: Notes,
    refused: Mutex<BTreeSet<&'static str>>,
    attempts: AtomicU32,
}

impl Sink for Picky {
    type Rows = Vec<u64>;

    fn begin(&self, schema: &'static RecordSchema) -> Vec<u64> {
        self.notes.begin(schema)
    }

    fn add(&self, rows: &mut Vec<u64>, row: &Row<'_>) -> Result<(), SinkError> {
        self.notes.add(rows, row)
    }

    fn size_bytes(&self, rows: &Vec<u64>) -> usize {
        self.notes.size_bytes(rows)
    }

    fn insert(&self, batch: &BatchId, rows: &mut Vec<u64>) -> Result<(), SinkError> {
        if self.refused.lock().unwrap().contains(batch.table) {
            self.attempts.fetch_add(1, Ordering::Relaxed);
            return Err(SinkError::Troubled { cause: Cause::TooManyParts, why: "merging".to_owned() });
        }
        self.notes.insert(batch, rows)
    }

    fn holds(&self, batch: &BatchId) -> Result<Holding, SinkError> {
        self.notes.holds(batch)
    }

    fn trusts_token_ms(&self) -> i64 {
        self.notes.trusts_token_ms()
    }
}

fn sessions(partition: u32, from: i64, count: i64) -> Vec<Put<'static>> {
    (from..from + count).map(|n| ("sessions", partition, session(&n.to_string(), n, 1, false))).collect()
}

#[test]
fn after_an_outage_a_backlog_keeps_no_other_topic_waiting() {
    let world = World::new();
    let notes = Arc::new(Notes::default());
    let sink = Arc::new(Troubled::new(notes.clone(), Trouble::BeforeInsert));
    let mut config = world.config();
    config.limits = BatchLimits { max_rows: 50, max_inserts_per_table_and_second: 1_000, ..BatchLimits::clickhouse() };
    let mut deliverer = world.deliverer(sink.clone(), config);
    // The warehouse is down, and sessions pile up: 2 × 100 batches.
    for round in 0..100 {
        world.append(&sessions(0, round * 100, 50));
        world.append(&sessions(1, round * 100 + 50, 50));
        world.step(&mut deliverer).unwrap();
    }
    assert!(notes.0.lock().unwrap().is_empty());
    // Live work begins behind the backlog, in other topics.
    for n in 0..4 {
        world.append(&[("orders", n % 2, order(&format!("o{n}"), 1, 1, 0))]);
    }
    sink.heal();
    world.deliver_all(&mut deliverer).unwrap();
    let tables = notes.tables();
    assert_eq!(notes.offsets("sessions").len(), 10_000);
    assert_eq!(notes.offsets("orders").len(), 4);
    // By order: at most a few rounds of the backlog go before, not all of its 200 batches.
    let last = tables.iter().rposition(|table| *table == "orders").unwrap();
    assert!(tables.len() >= 202 && last <= 20, "orders came last at {last} of {}", tables.len());
    // And the backlog is in full batches: catching up makes no more inserts than it must.
    assert!(tables.len() <= 210, "{} batches", tables.len());
}

#[test]
fn batches_of_one_flush_take_turns_by_topic() {
    let world = World::new();
    let notes = Arc::new(Notes::default());
    let sink = Arc::new(Troubled::new(notes.clone(), Trouble::BeforeInsert));
    let mut config = world.config();
    config.limits.parallel_inserts = 1;
    let mut deliverer = world.deliverer(sink.clone(), config);
    world.append(&sessions(0, 0, 3));
    world.append(&sessions(1, 10, 3));
    world.step(&mut deliverer).unwrap();
    world.append(&[("orders", 0, order("o", 1, 1, 0)), ("refunds", 0, Vec::new())]);
    world.step(&mut deliverer).unwrap();
    world.clock.advance(1_000);
    sink.heal();
    world.deliver_all(&mut deliverer).unwrap();
    // Both partitions of sessions waited longer, but each topic has a turn before one has its second.
    assert_eq!(notes.tables(), ["sessions", "orders", "sessions"]);
}

#[test]
fn a_table_in_trouble_keeps_no_other_waiting_and_is_asked_ever_more_rarely() {
    let world = World::new();
    let sink = Arc::new(Picky::default());
    sink.refused.lock().unwrap().insert("sessions");
    let mut deliverer = world.deliverer(sink.clone(), world.config());
    for round in 0..100 {
        world.append(&sessions((round % 2) as u32, round * 10, 10));
        world.append(&[("orders", (round % 2) as u32, order(&format!("o{round}"), 1, 1, 0))]);
        world.step(&mut deliverer).unwrap();
    }
    // 100 × 600 ms: one attempt for both partitions together, 100 ms doubling to 10 s.
    let attempts = sink.attempts.load(Ordering::Relaxed);
    assert!((6..=16).contains(&attempts), "{attempts} attempts");
    assert!(sink.notes.tables().iter().all(|table| *table == "orders"));
    assert!(sink.notes.offsets("orders").len() >= 98);
    assert!(!deliverer.sink_is_down());
    assert_eq!(deliverer.trouble("sessions").unwrap().cause, Cause::TooManyParts);
    sink.refused.lock().unwrap().clear();
    world.deliver_all(&mut deliverer).unwrap();
    assert_eq!((sink.notes.offsets("sessions").len(), sink.notes.offsets("orders").len()), (1_000, 100));
}

/// A log whose members cannot send, and then not abort, for a while.
struct Failing {
    world: millstream_transports::memory::MemoryLog,
    sends: Arc<AtomicU32>,
    abort_too: bool,
}

struct FailingMember {
    inner: Box<dyn Member>,
    sends: Arc<AtomicU32>,
    abort_too: bool,
    must_abort: bool,
}

impl Transport for Failing {
    fn ensure_topics(&self, topics: &[TopicSpec]) -> LogResult<()> {
        self.world.ensure_topics(topics)
    }
    fn partition_count(&self, topic: &str) -> LogResult<u32> {
        self.world.partition_count(topic)
    }
    fn topic_id(&self, topic: &str) -> LogResult<String> {
        self.world.topic_id(topic)
    }
    fn member(&self, config: MemberConfig) -> LogResult<Box<dyn Member>> {
        let (sends, abort_too) = (self.sends.clone(), self.abort_too);
        Ok(Box::new(FailingMember { inner: self.world.member(config)?, sends, abort_too, must_abort: false }))
    }
    fn appender(&self, topics: Vec<String>) -> LogResult<Box<dyn Appender>> {
        self.world.appender(topics)
    }
    fn transactions(&self, id: &str, topics: Vec<String>) -> LogResult<Box<dyn Transactions>> {
        self.world.transactions(id, topics)
    }
    fn reader(&self, topic: &str, partition: u32, offset: u64) -> LogResult<Box<dyn Reader>> {
        self.world.reader(topic, partition, offset)
    }
    fn committed(&self, group: &str, topic: &str, partition: u32) -> LogResult<Option<Committed>> {
        self.world.committed(group, topic, partition)
    }
}

impl Member for FailingMember {
    fn poll(&mut self, wait: Duration, batch: &mut Batch, changes: &mut Vec<Change>) -> LogResult<()> {
        self.inner.poll(wait, batch, changes)
    }
    fn at_end(&mut self, partition: TopicPartition) -> LogResult<bool> {
        self.inner.at_end(partition)
    }
    fn seek(&mut self, partition: TopicPartition, offset: u64) -> LogResult<()> {
        self.inner.seek(partition, offset)
    }
    fn earliest(&mut self, partition: TopicPartition) -> LogResult<u64> {
        self.inner.earliest(partition)
    }
    fn pause(&mut self, partition: TopicPartition) -> LogResult<()> {
        self.inner.pause(partition)
    }
    fn resume(&mut self, partition: TopicPartition) -> LogResult<()> {
        self.inner.resume(partition)
    }
    fn committed(&mut self, partition: TopicPartition) -> LogResult<Option<Committed>> {
        self.inner.committed(partition)
    }
    fn send(&mut self, append: Append<'_>) -> LogResult<()> {
        assert!(!self.must_abort, "a transaction that was to be aborted goes on");
        self.inner.send(append)?;
        if self.sends.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            self.must_abort = true;
            return Err(TransportError::Unavailable("no room".to_owned()));
        }
        Ok(())
    }
    fn commit(&mut self, offsets: &[OffsetCommit]) -> CommitOutcome {
        assert!(!self.must_abort, "a transaction that was to be aborted is committed");
        self.inner.commit(offsets)
    }
    fn abort(&mut self) -> LogResult<()> {
        if self.abort_too {
            return Err(TransportError::Unavailable("no answer".to_owned()));
        }
        self.must_abort = false;
        self.inner.abort()
    }
    fn commit_offsets(&mut self, offsets: &[OffsetCommit]) -> CommitOutcome {
        self.inner.commit_offsets(offsets)
    }
    fn settle(&mut self) -> LogResult<()> {
        self.inner.settle()
    }
    fn close(self: Box<Self>) -> LogResult<()> {
        self.inner.close()
    }
}

#[test]
fn a_dead_letter_that_cannot_be_sent_is_sent_later_and_once() {
    for abort_too in [false, true] {
        let world = World::new();
        let notes = Arc::new(Notes::default());
        world.append(&[
            ("sessions", 0, session("a", 1, 1, false)),
            ("sessions", 0, b"bad".to_vec()),
            ("sessions", 0, b"worse".to_vec()),
        ]);
        let sends = Arc::new(AtomicU32::new(3));
        let log = Failing { world: world.log.clone(), sends: sends.clone(), abort_too };
        let mut deliverer = world.deliverer_on(Arc::new(log), notes.clone(), world.config());
        world.deliver_all(&mut deliverer).unwrap();
        assert_eq!(sends.load(Ordering::SeqCst), 0, "all failures have struck");
        assert_eq!((notes.offsets("sessions").len(), world.values(Rejected::TOPIC).len()), (1, 2), "{abort_too}");
        assert_eq!(deliverer.stats().rejoins, if abort_too { 3 } else { 0 });
    }
}

#[test]
fn a_name_used_twice_stops_with_an_error_that_says_so() {
    let world = World::new();
    world.append(&sessions(0, 0, 1));
    let notes = Arc::new(Notes::default());
    let mut processes = [(); 2].map(|()| world.deliverer(notes.clone(), world.config()));
    let mut steps = 0;
    let error = loop {
        world.append(&sessions(0, steps, 1));
        // Each takes the other's place, again and again.
        match world.step(&mut processes[(steps % 2) as usize]) {
            Ok(_) => assert!(steps < 200, "{:?}", processes.map(|process| process.stats().clone())),
            Err(error) => break error,
        }
        steps += 1;
    };
    // The other one is now alone and goes on.
    let mut left = processes;
    world.deliver_all(&mut left[(steps % 2 == 0) as usize]).unwrap();
    assert_eq!(notes.offsets("sessions").len() as i64, steps + 2);
    assert!(matches!(&error, DeliverError::SameInstance { instance, .. } if instance == "worker-1"), "{error}");
    assert!(error.to_string().contains("instance name \"worker-1\"") && error.to_string().contains("stop the other"));
}

/// The value of a metric line that contains all of these.
fn metric(registry: &prometheus::Registry, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == name)?;
    let found = family.get_metric().iter().find(|metric| {
        labels.iter().all(|(name, value)| {
            metric.get_label().iter().any(|label| label.name() == *name && label.value() == *value)
        })
    })?;
    let value = found.get_gauge().get_value();
    Some(if value == 0.0 { found.get_counter().get_value() } else { value })
}

#[test]
fn every_trouble_can_be_seen_and_is_seen_to_be_over() {
    let world = World::new();
    let registry = prometheus::Registry::new();
    let sink = Arc::new(Picky::default());
    sink.refused.lock().unwrap().insert("sessions");
    let metrics = DeliverMetrics::new(&registry, "notes").unwrap();
    let mut deliverer = world.deliverer(sink.clone(), world.config()).observed_by(metrics);
    for round in 0..20 {
        world.append(&sessions(0, round * 10, 10));
        world.append(&[("orders", 0, order(&format!("o{round}"), 1, 1, 0))]);
        world.step(&mut deliverer).unwrap();
    }
    let of = |name: &str, labels: &[(&str, &str)]| metric(&registry, &format!("millstream_deliver_{name}"), labels);
    let parts = ("reason", "too_many_parts");
    assert_eq!(of("stopped_lanes", &[("topic", "sessions"), parts]), Some(1.0));
    assert_eq!(of("trouble", &[("table", "sessions"), parts]), Some(1.0));
    assert!(of("retries_total", &[("table", "sessions"), parts]).unwrap() > 1.0);
    assert_eq!(of("sink_up", &[("sink", "notes")]), Some(1.0));
    // All 200 records and a marker a transaction, whether read or not.
    let lag = of("lag_records", &[("topic", "sessions")]).unwrap();
    assert!((170.0..=240.0).contains(&lag), "{lag}");
    assert!(of("lag_seconds", &[("topic", "sessions")]).unwrap() > 60.0, "records of the tests are old");
    assert!(of("lag_records", &[("topic", "orders")]).unwrap() <= 4.0);
    assert!(of("rows_total", &[("table", "orders")]).unwrap() >= 17.0);
    assert!(of("oldest_intent_seconds", &[]).unwrap() >= 5.0);
    sink.refused.lock().unwrap().clear();
    world.deliver_all(&mut deliverer).unwrap();
    world.clock.advance(2_000);
    world.step(&mut deliverer).unwrap();
    assert_eq!(of("stopped_lanes", &[("topic", "sessions"), parts]), Some(0.0));
    assert_eq!(of("trouble", &[("table", "sessions"), parts]), Some(0.0));
    assert_eq!(of("lag_records", &[("topic", "sessions")]), Some(0.0));
    assert_eq!(of("rows_total", &[("table", "sessions")]), Some(200.0));
    assert_eq!(of("oldest_intent_seconds", &[]), Some(0.0));
}
