//! A stage whose output shows every loss, repetition and wrong undo: the running count of each key.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::ledger::TextBook;
use millstream_operators::core::UndoMap;
use millstream_runtime::{
    Clock, Diversion, Entries, EpochLimits, FateCount, LedgerBook, Outputs, RestoreError, SnapshotState, Stage,
    StageFactory, WorkerConfig,
};
use millstream_transports::memory::MemoryLog;
use millstream_transports::{Append, Batch, RecordRef, Retention, TopicSpec, Transport};

pub const PARTITIONS: u32 = 3;

#[derive(Default)]
pub struct Counter {
    partition: u32,
    counts: UndoMap<u128, u64>,
    /// Of all keys, now and as of the last commit: small state.
    total: u64,
    total_committed: u64,
    total_at_mark: Option<u64>,
    /// Records counted and diverted.
    fates: [u64; 2],
    fates_committed: [u64; 2],
}

impl Counter {
    pub fn of(partition: u32) -> Self {
        Self { partition, ..Self::default() }
    }
}

fn number(key: &[u8]) -> u128 {
    key.iter().fold(1, |number, byte| number << 8 | u128::from(*byte))
}

impl Stage for Counter {
    fn on_record(&mut self, record: RecordRef<'_>, out: &mut Outputs) {
        let key = number(record.key);
        let count = self.counts.get_or_insert_with(key, || 0);
        *count += 1;
        let count = *count;
        self.total += 1;
        if record.value == b"forget" {
            self.counts.remove(key);
        }
        assert!(record.value != b"poison", "this record is poison");
        out.push(0, self.partition, record.timestamp_ms, record.key, |value| {
            value.extend_from_slice(format!("{count} of {}@{}", self.total, record.offset).as_bytes());
        });
        self.fates[0] += 1;
    }

    fn divert(&mut self, record: RecordRef<'_>, _why: &Diversion, out: &mut Outputs) {
        out.push(1, self.partition, record.timestamp_ms, record.key, |value| value.extend_from_slice(record.value));
        self.fates[1] += 1;
    }

    fn commit_epoch(&mut self) {
        self.counts.commit();
        self.total_committed = self.total;
        self.fates_committed = self.fates;
    }

    fn undo_epoch(&mut self) {
        self.counts.undo();
        self.total = self.total_committed;
        self.fates = self.fates_committed;
    }

    fn fates(&self) -> Vec<FateCount> {
        let [counted, diverted] = self.fates;
        vec![FateCount { name: "counted", records: counted }, FateCount { name: "diverted", records: diverted }]
    }

    fn state_keys(&self) -> usize {
        self.counts.len()
    }

    fn watermark_ms(&self) -> Option<i64> {
        Some(self.total as i64)
    }

    fn budget_percent(&self) -> Option<u64> {
        Some(self.counts.len() as u64)
    }

    fn snapshots(&mut self) -> Option<&mut dyn SnapshotState> {
        Some(self)
    }
}

impl SnapshotState for Counter {
    fn track(&mut self) {
        self.counts.track();
    }

    fn begin(&mut self) {
        self.counts.mark();
        self.total_at_mark = Some(self.total);
    }

    fn write(&mut self, out: &mut Entries) -> bool {
        if let Some(total) = self.total_at_mark.take() {
            out.push(0, 0, |value| value.extend_from_slice(&total.to_be_bytes()));
        }
        // One entry at a time, so that epochs come between them.
        self.counts.next_changed(|key, count| {
            match count {
                Some(count) => out.push(1, key, |value| value.extend_from_slice(&count.to_be_bytes())),
                None => out.push_gone(1, key),
            }
            false
        })
    }

    fn end(&mut self, kept: bool) {
        self.counts.end_mark(kept);
        self.total_at_mark = None;
    }

    fn restore(&mut self, section: u8, key: u128, value: &[u8]) -> Result<(), RestoreError> {
        let detail = || RestoreError { section, key, detail: "eight bytes were expected".to_owned() };
        let count = u64::from_be_bytes(value.try_into().map_err(|_| detail())?);
        if section == 0 {
            self.total = count;
            self.total_committed = count;
        } else {
            self.counts.restore(key, || count);
        }
        Ok(())
    }

    fn restored(&mut self) -> Result<(), RestoreError> {
        Ok(())
    }

    fn about(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("keys".to_owned(), self.counts.len().to_string())])
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
        snapshots: None,
        standbys: None,
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
