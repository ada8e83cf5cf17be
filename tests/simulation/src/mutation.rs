//! Bugs that are planted to see whether the simulation finds them. None touches the code under test: each is a wrapper around a real
//! stage, log, snapshot store or sink, behind the same traits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use millstream_operators::person::Person;
use millstream_operators::person::state::UNARMED;
use millstream_runtime::{
    Diversion, Entries, FateCount, LedgerBook, Outputs, RestoreError, SnapshotState, Stage, StageFactory,
};
use millstream_schemas::{Event, Watermark, frame};
use millstream_transports::{RecordRef, TopicSpec};

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// A stage keeps what an undone epoch did to its state.
    SkippedUndo,
    /// A member whose generation is over commits all the same.
    StaleCommit,
    /// A sink's token does not say which batch it names.
    ReusedToken,
    /// An event that comes after the watermark is dropped.
    DroppedLateEvent,
    /// A recovery forgets what was committed, so that it writes once more what it should suppress.
    ReplayThatEmits,
    /// What one record causes is written twice.
    DoubledOutputs,
    /// The log acknowledges what it has not synced.
    EarlyAcknowledgement,
    /// A stage that is restored from a snapshot does not set its timers again.
    LostTimer,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::SkippedUndo,
        Self::StaleCommit,
        Self::ReusedToken,
        Self::DroppedLateEvent,
        Self::ReplayThatEmits,
        Self::DoubledOutputs,
        Self::EarlyAcknowledgement,
        Self::LostTimer,
    ];
}

/// The factory with the bug that concerns stages, if there is one.
pub fn mutated(factory: Arc<dyn StageFactory>, mutation: Option<Mutation>) -> Arc<dyn StageFactory> {
    match mutation {
        Some(
            bug @ (Mutation::SkippedUndo | Mutation::DroppedLateEvent | Mutation::DoubledOutputs | Mutation::LostTimer),
        ) => Arc::new(MutantFactory { inner: factory, bug }),
        _ => factory,
    }
}

struct MutantFactory {
    inner: Arc<dyn StageFactory>,
    bug: Mutation,
}

impl StageFactory for MutantFactory {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn inputs(&self) -> Vec<TopicSpec> {
        self.inner.inputs()
    }

    fn outputs(&self) -> Vec<TopicSpec> {
        self.inner.outputs()
    }

    fn make(&self, partition: u32) -> Box<dyn Stage> {
        let has_people = self.inner.name() == "profile";
        let inner = self.inner.make(partition);
        Box::new(Mutant { inner, bug: self.bug, has_people, watermark_ms: AtomicI64::new(i64::MIN) })
    }

    fn logic_version(&self) -> u32 {
        self.inner.logic_version()
    }

    fn ledger(&self) -> Option<&dyn LedgerBook> {
        self.inner.ledger()
    }

    fn tick(&self, now_ms: i64) -> Option<(u16, Vec<u8>)> {
        self.inner.tick(now_ms)
    }
}

struct Mutant {
    inner: Box<dyn Stage>,
    bug: Mutation,
    /// Whether it is the stage that holds people.
    has_people: bool,
    watermark_ms: AtomicI64,
}

impl Mutant {
    /// Whether the event happened before the newest watermark that was announced.
    fn is_late(&self, value: &[u8]) -> bool {
        match frame::split(value) {
            Ok((Watermark::ID, body)) => {
                let time_ms = Watermark::decode(body).map_or(i64::MIN, |watermark| watermark.time);
                self.watermark_ms.fetch_max(time_ms, Ordering::Relaxed);
                false
            }
            Ok((Event::ID, body)) => Event::decode(body).is_ok_and(|event| {
                event.person.is_some() && event.event_time < self.watermark_ms.load(Ordering::Relaxed)
            }),
            _ => false,
        }
    }
}

/// A copy of an output: topic, partition, timestamp, key, value.
type Copied = (u16, u32, i64, Vec<u8>, Vec<u8>);

/// Records whose outputs [`Mutation::DoubledOutputs`] doubles: one in so many.
const DOUBLED_EVERY: u64 = 41;

impl Stage for Mutant {
    fn on_record(&mut self, record: RecordRef<'_>, out: &mut Outputs) {
        if self.bug == Mutation::DroppedLateEvent && self.is_late(record.value) {
            return;
        }
        let before = out.len();
        self.inner.on_record(record, out);
        if self.bug == Mutation::DoubledOutputs && record.offset.is_multiple_of(DOUBLED_EVERY) {
            let again: Vec<Copied> = out
                .iter()
                .skip(before)
                .map(|a| (a.topic, a.partition, a.timestamp_ms, a.key.to_vec(), a.value.to_vec()))
                .collect();
            for (topic, partition, timestamp_ms, key, value) in again {
                out.push(topic, partition, timestamp_ms, &key, |bytes| bytes.extend_from_slice(&value));
            }
        }
    }

    fn warm(&self, records: &[RecordRef<'_>]) {
        self.inner.warm(records);
    }

    fn divert(&mut self, record: RecordRef<'_>, why: &Diversion, out: &mut Outputs) {
        self.inner.divert(record, why, out);
    }

    fn commit_epoch(&mut self) {
        self.inner.commit_epoch();
    }

    fn undo_epoch(&mut self) {
        if self.bug == Mutation::SkippedUndo {
            self.inner.commit_epoch();
        } else {
            self.inner.undo_epoch();
        }
    }

    fn state_keys(&self) -> usize {
        self.inner.state_keys()
    }

    fn blocked(&self) -> Option<String> {
        self.inner.blocked()
    }

    fn undo_bytes(&self) -> usize {
        self.inner.undo_bytes()
    }

    fn watermark_ms(&self) -> Option<i64> {
        self.inner.watermark_ms()
    }

    fn budget_percent(&self) -> Option<u64> {
        self.inner.budget_percent()
    }

    fn fates(&self) -> Vec<FateCount> {
        self.inner.fates()
    }

    fn snapshots(&mut self) -> Option<&mut dyn SnapshotState> {
        self.inner.snapshots()?;
        Some(self)
    }
}

impl SnapshotState for Mutant {
    fn track(&mut self) {
        if let Some(state) = self.inner.snapshots() {
            state.track();
        }
    }

    fn begin(&mut self) {
        if let Some(state) = self.inner.snapshots() {
            state.begin();
        }
    }

    fn write(&mut self, out: &mut Entries) -> bool {
        self.inner.snapshots().is_none_or(|state| state.write(out))
    }

    fn end(&mut self, kept: bool) {
        if let Some(state) = self.inner.snapshots() {
            state.end(kept);
        }
    }

    fn restore(&mut self, section: u8, key: u128, value: &[u8]) -> Result<(), RestoreError> {
        let without = match (self.bug, Person::decode(value, |site| Arc::from(site))) {
            (Mutation::LostTimer, Ok(mut person)) if self.has_people => {
                (person.armed_ms, person.armed_later_ms, person.armed_last_ms) = (UNARMED, UNARMED, UNARMED);
                let mut value = Vec::new();
                person.encode(&mut value);
                Some(value)
            }
            _ => None,
        };
        let value = without.as_deref().unwrap_or(value);
        self.inner.snapshots().map_or(Ok(()), |state| state.restore(section, key, value))
    }

    fn restored(&mut self) -> Result<(), RestoreError> {
        self.inner.snapshots().map_or(Ok(()), |state| state.restored())
    }

    fn about(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}
