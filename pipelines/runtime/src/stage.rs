//! The contract between the runtime and the state machines it runs.

use millstream_transports::{RecordRef, TopicSpec};

use crate::ledger::{FateCount, LedgerBook};
use crate::outputs::Outputs;
use crate::snapshot::SnapshotState;

/// Why the runtime diverts a record past its stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Diversion {
    /// The stage panicked on it; the message, without backtrace (that goes to the log: it cannot be replayed).
    Panic(String),
}

/// How many records are announced to a stage at a time: enough that their memory accesses overlap, few enough that what they fetch
/// is still in the nearest cache when its record's turn comes.
pub const WARM_RECORDS: usize = 16;

/// A pure, deterministic state machine over one input partition.
///
/// The same records in the same order give the same outputs, byte for byte, however they are cut into epochs.
pub trait Stage: Send {
    /// Processes one record. Bad input is written to the dead-letter output, never returned as an error; only a defect panics.
    fn on_record(&mut self, record: RecordRef<'_>, out: &mut Outputs);

    /// A hint: these records come next. A stage whose state is far larger than the caches looks up here what they will need and
    /// reads a word of each, so that the memory behind independent records is fetched at the same time instead of one after the
    /// other. It changes nothing, and outputs are the same without it. At most [`WARM_RECORDS`] at a time, in their order.
    fn warm(&self, _records: &[RecordRef<'_>]) {}

    /// Writes `record` to the dead-letter output instead of processing it. Must not depend on the state.
    fn divert(&mut self, record: RecordRef<'_>, why: &Diversion, out: &mut Outputs);

    /// The epoch is durable: drop the undo log.
    fn commit_epoch(&mut self);

    /// The epoch never happened: restore the state as of the last commit.
    fn undo_epoch(&mut self);

    /// What became of the records so far, those of the current epoch included: each has exactly one fate. Counts fall back with
    /// [`Stage::undo_epoch`]. None where nobody keeps a ledger.
    fn fates(&self) -> Vec<FateCount> {
        Vec::new()
    }

    /// Keys held, for metrics.
    fn state_keys(&self) -> usize;

    /// The watermark that the stage is at, milliseconds UTC, for metrics; `None` where it has none (yet).
    fn watermark_ms(&self) -> Option<i64> {
        None
    }

    /// How much of the memory that must not overflow is used, per cent, for metrics; above 100 the stage is [`Stage::blocked`].
    fn budget_percent(&self) -> Option<u64> {
        None
    }

    /// Why the stage can take no more input (a full budget that must not forget), in words for the operator; the worker then stops
    /// the partition.
    fn blocked(&self) -> Option<String> {
        None
    }

    /// Bytes of undo log held, for the epoch's bound; 0 where unknown.
    fn undo_bytes(&self) -> usize {
        0
    }

    /// The state as snapshots take it; `None` for a stage that is always rebuilt from its whole input.
    fn snapshots(&mut self) -> Option<&mut dyn SnapshotState> {
        None
    }
}

/// Makes the stages of one kind.
pub trait StageFactory: Send + Sync {
    /// The stage's name: consumer group, metrics label.
    fn name(&self) -> &'static str;

    /// Topics consumed; all have the same number of partitions.
    fn inputs(&self) -> Vec<TopicSpec>;

    /// Topics produced to; `Outputs::push` takes indices into these.
    fn outputs(&self) -> Vec<TopicSpec>;

    /// A stage with empty state for one partition of the inputs.
    fn make(&self, partition: u32) -> Box<dyn Stage>;

    /// The version of what the stage makes of its input. It rises with every change after which the same records give other outputs
    /// or another state: nothing is replayed across it.
    fn logic_version(&self) -> u32 {
        1
    }

    /// How the stage's transactions are noted; `None` for a stage that keeps no ledger.
    fn ledger(&self) -> Option<&dyn LedgerBook> {
        None
    }

    /// The record by which an idle, fully read input partition learns that time passes, with the index of its topic among
    /// [`StageFactory::outputs`]; `None` for a stage that gets its time from upstream.
    fn tick(&self, _now_ms: i64) -> Option<(u16, Vec<u8>)> {
        None
    }
}
