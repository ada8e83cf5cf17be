//! A stage whose output shows every loss and repetition: the running count of each key.

use std::collections::{BTreeMap, BTreeSet};

use millstream_runtime::{Diversion, Entries, Outputs, RestoreError, SnapshotState, Stage, StageFactory};
use millstream_transports::{RecordRef, Retention, TopicSpec};

pub const PARTITIONS: u32 = 2;

#[derive(Default)]
pub struct Tally {
    partition: u32,
    counts: BTreeMap<u128, u64>,
    committed: BTreeMap<u128, u64>,
    changed: BTreeSet<u128>,
    written: BTreeSet<u128>,
}

impl Tally {
    pub fn of(partition: u32) -> Self {
        Self { partition, ..Self::default() }
    }
}

impl Stage for Tally {
    fn on_record(&mut self, record: RecordRef<'_>, out: &mut Outputs) {
        let key = u128::from(record.key[0]);
        let count = self.counts.entry(key).or_default();
        *count += 1;
        let said = format!("{count}@{}", record.offset);
        self.changed.insert(key);
        out.push(0, self.partition, record.timestamp_ms, record.key, |value| value.extend_from_slice(said.as_bytes()));
    }

    fn divert(&mut self, _record: RecordRef<'_>, why: &Diversion, _out: &mut Outputs) {
        panic!("{why:?}");
    }

    fn commit_epoch(&mut self) {
        self.committed = self.counts.clone();
    }

    fn undo_epoch(&mut self) {
        self.counts = self.committed.clone();
    }

    fn state_keys(&self) -> usize {
        self.counts.len()
    }

    fn snapshots(&mut self) -> Option<&mut dyn SnapshotState> {
        Some(self)
    }
}

impl SnapshotState for Tally {
    fn track(&mut self) {}

    fn begin(&mut self) {
        self.written = std::mem::take(&mut self.changed);
    }

    fn write(&mut self, out: &mut Entries) -> bool {
        // All at once, before another epoch: what stands here is what was at the mark.
        for key in &self.written {
            out.push(1, *key, |value| value.extend_from_slice(&self.counts[key].to_be_bytes()));
        }
        true
    }

    fn end(&mut self, kept: bool) {
        let written = std::mem::take(&mut self.written);
        if !kept {
            self.changed.extend(written);
        }
    }

    fn restore(&mut self, section: u8, key: u128, value: &[u8]) -> Result<(), RestoreError> {
        let wrong = |_| RestoreError { section, key, detail: "eight bytes were expected".to_owned() };
        let count = u64::from_be_bytes(value.try_into().map_err(wrong)?);
        self.counts.entry(key).or_insert(count);
        Ok(())
    }

    fn restored(&mut self) -> Result<(), RestoreError> {
        self.committed = self.counts.clone();
        Ok(())
    }

    fn about(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}

pub struct Tallies;

impl StageFactory for Tallies {
    fn name(&self) -> &'static str {
        "tallies"
    }

    fn inputs(&self) -> Vec<TopicSpec> {
        vec![TopicSpec { name: "in".to_owned(), partitions: PARTITIONS, retention: Retention::Forever }]
    }

    fn outputs(&self) -> Vec<TopicSpec> {
        vec![TopicSpec { name: "out".to_owned(), partitions: PARTITIONS, retention: Retention::Forever }]
    }

    fn make(&self, partition: u32) -> Box<dyn Stage> {
        Box::new(Tally::of(partition))
    }
}
