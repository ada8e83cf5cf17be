//! A stage whose output shows every loss, repetition and wrong undo: the running count of each key.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::ledger::TextBook;
use millstream_runtime::{
    Clock, Diversion, EpochLimits, FateCount, LedgerBook, Outputs, Stage, StageFactory, WorkerConfig,
};
use millstream_transports::memory::MemoryLog;
use millstream_transports::{Append, Batch, RecordRef, Retention, TopicSpec, Transport};

pub const PARTITIONS: u32 = 3;

#[derive(Default)]
pub struct Counter {
    partition: u32,
    counts: BTreeMap<Vec<u8>, u64>,
    committed: BTreeMap<Vec<u8>, u64>,
    /// Records counted and diverted.
    fates: [u64; 2],
    fates_committed: [u64; 2],
}

impl Counter {
    pub fn of(partition: u32) -> Self {
        Self { partition, ..Self::default() }
    }
}

impl Stage for Counter {
    fn on_record(&mut self, record: RecordRef<'_>, out: &mut Outputs) {
        let count = self.counts.entry(record.key.to_vec()).or_default();
        *count += 1;
        let count = *count;
        assert!(record.value != b"poison", "this record is poison");
        out.push(0, self.partition, record.timestamp_ms, record.key, |value| {
            value.extend_from_slice(format!("{}@{}", count, record.offset).as_bytes());
        });
        self.fates[0] += 1;
    }

    fn divert(&mut self, record: RecordRef<'_>, _why: &Diversion, out: &mut Outputs) {
        out.push(1, self.partition, record.timestamp_ms, record.key, |value| value.extend_from_slice(record.value));
        self.fates[1] += 1;
    }

    fn commit_epoch(&mut self) {
        self.committed = self.counts.clone();
        self.fates_committed = self.fates;
    }

    fn undo_epoch(&mut self) {
        self.counts = self.committed.clone();
        self.fates = self.fates_committed;
    }

    fn fates(&self) -> Vec<FateCount> {
        let [counted, diverted] = self.fates;
        vec![FateCount { name: "counted", records: counted }, FateCount { name: "diverted", records: diverted }]
    }

    fn state_keys(&self) -> usize {
        self.counts.len()
    }
}

pub struct Counters;

impl StageFactory for Counters {
    fn name(&self) -> &'static str {
        "counters"
    }

    fn inputs(&self) -> Vec<TopicSpec> {
        vec![spec("in")]
    }

    fn outputs(&self) -> Vec<TopicSpec> {
        vec![spec("out"), spec("diverted"), spec("ledger")]
    }

    fn make(&self, partition: u32) -> Box<dyn Stage> {
        Box::new(Counter::of(partition))
    }

    fn ledger(&self) -> Option<&dyn LedgerBook> {
        Some(&TextBook)
    }
}

fn spec(name: &str) -> TopicSpec {
    TopicSpec { name: name.to_owned(), partitions: PARTITIONS, retention: Retention::Forever }
}

#[derive(Default)]
pub struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn now_ms(&self) -> i64 {
        i64::try_from(self.0.load(Ordering::Relaxed)).unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

pub fn config(instance: &str) -> WorkerConfig {
    WorkerConfig {
        namespace: String::new(),
        instance_id: instance.to_owned(),
        limits: EpochLimits { max_ms: 3, max_bytes: 1 << 20 },
        tick_after_ms: None,
        max_poisoned: 10,
    }
}

pub fn log() -> (MemoryLog, Arc<dyn Transport>) {
    let log = MemoryLog::new();
    let transport: Arc<dyn Transport> = Arc::new(log.clone());
    transport.ensure_topics(&Counters.inputs()).unwrap();
    transport.ensure_topics(&Counters.outputs()).unwrap();
    (log, transport)
}

pub fn feed(transport: &dyn Transport, partition: u32, key: &[u8], value: &[u8]) {
    let appender = transport.appender(vec!["in".to_owned()]).unwrap();
    appender
        .append(&[Append { topic: 0, partition, timestamp_ms: 0, key, value }], Box::new(|result| result.unwrap()))
        .unwrap();
}

/// Everything committed in a partition, as (key, value).
pub fn read(transport: &dyn Transport, topic: &str, partition: u32) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut reader = transport.reader(topic, partition, 0).unwrap();
    let mut batch = Batch::new();
    let mut all = Vec::new();
    loop {
        let ended = reader.at_end().unwrap();
        reader.poll(Duration::ZERO, &mut batch).unwrap();
        all.extend(batch.iter().map(|record| (record.key.to_vec(), record.value.to_vec())));
        if ended && batch.is_empty() {
            return all;
        }
    }
}

/// What one undisturbed run over the recorded input gives.
pub fn undisturbed(transport: &dyn Transport, partition: u32) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut stage = Counter::of(partition);
    let mut out = Outputs::new();
    let mut reader = transport.reader("in", partition, 0).unwrap();
    let mut batch = Batch::new();
    loop {
        let ended = reader.at_end().unwrap();
        reader.poll(Duration::ZERO, &mut batch).unwrap();
        for record in batch.iter() {
            if record.value != b"poison" {
                stage.on_record(record, &mut out);
            }
        }
        if ended && batch.is_empty() {
            return out.iter().map(|append| (append.key.to_vec(), append.value.to_vec())).collect();
        }
    }
}
