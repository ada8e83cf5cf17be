//! A stage with its position in the input.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use millstream_transports::{RecordRef, TopicPartition};

use crate::ledger::{LedgerEntry, Tally};
use crate::outputs::Outputs;
use crate::stage::{Diversion, Stage};
use crate::worker::snapshots::TaskSnapshots;

/// What became of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Processed {
    /// Its outputs are in the buffer.
    Live,
    /// It lies below the committed offset: the state took it, its outputs are already downstream.
    Replayed,
    /// It was processed earlier in this life of the task.
    Skipped,
    /// The stage panicked; the epoch must be undone, and the record is diverted when it comes again.
    Panicked(String),
}

/// One input partition's stage and where it stands.
pub(crate) struct Task {
    pub partition: TopicPartition,
    pub(crate) stage: Box<dyn Stage>,
    /// Where its snapshots stand; `None` where none are taken.
    pub(crate) snapshots: Option<TaskSnapshots>,
    /// Next offset to process.
    next: u64,
    /// Where the current epoch began; an undo rewinds to it.
    epoch_start: u64,
    /// The group's committed offset; below it outputs are suppressed.
    committed: u64,
    /// Offsets on which the stage panicked; they are diverted.
    poisoned: BTreeSet<u64>,
    /// Records diverted since the last good one, now and as of the last commit.
    diverted_in_a_row: usize,
    diverted_at_commit: usize,
    /// What the open epoch did, for the ledger.
    tally: Tally,
}

impl Task {
    /// A task whose state is that of all records before `start`, where it begins reading, and whose outputs below `committed` are already downstream.
    pub fn new(partition: TopicPartition, stage: Box<dyn Stage>, start: u64, committed: u64) -> Self {
        Self {
            partition,
            stage,
            snapshots: None,
            next: start,
            epoch_start: start,
            committed,
            poisoned: BTreeSet::new(),
            diverted_in_a_row: 0,
            diverted_at_commit: 0,
            tally: Tally::default(),
        }
    }

    /// Passes on the hint that these records come next.
    pub fn warm(&self, records: &[RecordRef<'_>]) {
        // A defect here must not stop what would go on well without the hint.
        let _warmed = catch_unwind(AssertUnwindSafe(|| self.stage.warm(records)));
    }

    pub fn process(&mut self, record: RecordRef<'_>, out: &mut Outputs) -> Processed {
        if record.offset < self.next {
            return Processed::Skipped;
        }
        let mark = out.mark();
        let is_live = record.offset >= self.committed;
        if is_live {
            self.tally.begin(|| self.stage.fates());
        }
        if self.poisoned.contains(&record.offset) {
            self.diverted_in_a_row += 1;
            self.stage.divert(record, &Diversion::Panic("the operator panicked on this record".to_owned()), out);
        } else {
            let stage = &mut self.stage;
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| stage.on_record(record, out))) {
                out.truncate(mark);
                self.poisoned.insert(record.offset);
                return Processed::Panicked(panic_message(panic.as_ref()));
            }
            self.diverted_in_a_row = 0;
        }
        self.next = record.offset + 1;
        if !is_live {
            out.truncate(mark);
            return Processed::Replayed;
        }
        self.tally.add(record.timestamp_ms, out, mark);
        Processed::Live
    }

    /// Whether the epoch moved this task past its committed offset.
    pub fn offset_to_commit(&self) -> Option<u64> {
        (self.next > self.committed).then_some(self.next)
    }

    /// What the open epoch is to be noted as; `None` where this task did not move.
    pub fn noted<T>(
        &self,
        stage: &'static str,
        topic: &str,
        out: &Outputs,
        note: impl FnOnce(&LedgerEntry<'_>) -> T,
    ) -> Option<T> {
        let next = self.offset_to_commit()?;
        let (fates, outputs) = (self.tally.fates(&self.stage.fates()), self.tally.outputs(out));
        Some(note(&LedgerEntry {
            stage,
            topic,
            partition: self.partition.partition,
            first: self.committed,
            next,
            records: self.tally.records(),
            timestamp_ms: self.tally.timestamp_ms(),
            fates: &fates,
            outputs: &outputs,
        }))
    }

    pub fn commit_epoch(&mut self) {
        self.stage.commit_epoch();
        self.tally.clear();
        self.epoch_start = self.next;
        self.committed = self.committed.max(self.next);
        self.poisoned = self.poisoned.split_off(&self.next);
        self.diverted_at_commit = self.diverted_in_a_row;
    }

    /// Replayed records are committed already: their undo log can go although the epoch goes on.
    pub fn commit_replay(&mut self) {
        if self.next <= self.committed {
            self.stage.commit_epoch();
            self.epoch_start = self.next;
        }
    }

    /// Restores the state as of the last commit and returns where to read again.
    pub fn undo_epoch(&mut self) -> u64 {
        self.stage.undo_epoch();
        self.tally.clear();
        self.next = self.epoch_start;
        self.diverted_in_a_row = self.diverted_at_commit;
        self.next
    }

    /// The next offset to process; between epochs the state is that of all records before it.
    pub fn next(&self) -> u64 {
        self.next
    }

    pub fn epoch_start(&self) -> u64 {
        self.epoch_start
    }

    /// Outputs below `committed` are downstream by now.
    pub fn follow_to(&mut self, committed: u64) {
        self.committed = self.committed.max(committed);
    }

    /// There is no record between the last one and `offset`.
    pub fn skip_to(&mut self, offset: u64) {
        self.next = self.next.max(offset);
    }

    pub fn is_replaying(&self) -> bool {
        self.next < self.committed
    }

    /// Records in a row on which the stage panicked, the ones not yet diverted included.
    pub fn poisoned_in_a_row(&self) -> usize {
        self.diverted_at_commit + self.poisoned.len()
    }

    pub fn state_keys(&self) -> usize {
        self.stage.state_keys()
    }

    pub fn watermark_ms(&self) -> Option<i64> {
        self.stage.watermark_ms()
    }

    pub fn budget_percent(&self) -> Option<u64> {
        self.stage.budget_percent()
    }

    pub fn undo_bytes(&self) -> usize {
        self.stage.undo_bytes()
    }

    pub fn blocked(&self) -> Option<String> {
        self.stage.blocked()
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a message".to_owned()
    }
}
