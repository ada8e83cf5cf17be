//! What a transaction did, as its ledger notes it: the range of input, what became of each record, what was written.
//!
//! Each transaction that moves a task appends one note, in the same transaction as its outputs. So the ledger holds exactly what
//! was committed: replayed records, whose outputs are suppressed, are in the note of the transaction that wrote them. It is the
//! books that topics and tables are compared with, and it says how far a task was where the group's offset cannot be believed.

use crate::outputs::{Mark, Outputs};

/// How many records had one fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FateCount {
    /// The fate's name, `snake_case`.
    pub name: &'static str,
    /// Records.
    pub records: u64,
}

/// What was written to one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputSum {
    /// Index of the topic among the stage's outputs.
    pub topic: u16,
    /// Partition.
    pub partition: u32,
    /// Records.
    pub records: u64,
    /// Sum of their hashes ([`millstream_transports::record_hash()`]) modulo 2⁶⁴.
    pub hash_sum: u64,
}

/// One transaction of one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerEntry<'a> {
    /// The stage.
    pub stage: &'static str,
    /// Input topic, without the namespace's prefix.
    pub topic: &'a str,
    /// Input partition.
    pub partition: u32,
    /// Where the transaction begins: where the one before ended.
    pub first: u64,
    /// Where it ends: the offset that is committed with it.
    pub next: u64,
    /// Records read.
    pub records: u64,
    /// The last one's timestamp, milliseconds since the epoch: a note is kept as long as the input that it speaks of.
    pub timestamp_ms: i64,
    /// What became of them. Fates that no record had are left out.
    pub fates: &'a [FateCount],
    /// What was written, in order of topic and partition; the note itself is not in it.
    pub outputs: &'a [OutputSum],
}

/// How a stage notes its transactions. The runtime does not know what records say.
pub trait LedgerBook: Send + Sync {
    /// Index of the ledger's topic among the stage's outputs.
    fn topic(&self) -> u16;

    /// Appends the note's value to `value`.
    fn encode(&self, entry: &LedgerEntry<'_>, value: &mut Vec<u8>);

    /// Where the transaction ended that `value` notes, if it is one of this stage on this partition of this input topic.
    fn next_offset(&self, value: &[u8], topic: &str, partition: u32) -> Option<u64>;
}

/// What the open epoch of one task did so far, live records only.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// The stage's fates before the first live record; `None` before it.
    fates_before: Option<Vec<FateCount>>,
    records: u64,
    timestamp_ms: i64,
    /// Records and hash sum, by lane of the outputs. It keeps its length between epochs.
    lanes: Vec<(u64, u64)>,
}

impl Tally {
    /// Notes the fates before the epoch's first live record; what was replayed before it belongs to an older note.
    pub fn begin(&mut self, fates: impl FnOnce() -> Vec<FateCount>) {
        if self.fates_before.is_none() {
            self.fates_before = Some(fates());
        }
    }

    /// Adds a record that was processed, with what was written since `mark`: its bytes are still in the nearest cache.
    pub fn add(&mut self, timestamp_ms: i64, out: &Outputs, mark: Mark) {
        self.records += 1;
        self.timestamp_ms = timestamp_ms;
        for (lane, hash) in out.hashes_since(mark) {
            if lane >= self.lanes.len() {
                self.lanes.resize(lane + 1, (0, 0));
            }
            if let Some((records, sum)) = self.lanes.get_mut(lane) {
                *records += 1;
                *sum = sum.wrapping_add(hash);
            }
        }
    }

    /// The epoch has ended, one way or the other.
    pub fn clear(&mut self) {
        self.fates_before = None;
        self.records = 0;
        self.lanes.fill((0, 0));
    }

    pub fn records(&self) -> u64 {
        self.records
    }

    pub fn timestamp_ms(&self) -> i64 {
        self.timestamp_ms
    }

    /// What was written, in order of topic and partition.
    pub fn outputs(&self, out: &Outputs) -> Vec<OutputSum> {
        let written = self.lanes.iter().enumerate().filter(|(_, (records, _))| *records > 0);
        let mut sums: Vec<OutputSum> = written
            .filter_map(|(lane, &(records, hash_sum))| {
                let (topic, partition) = out.lane(lane)?;
                Some(OutputSum { topic, partition, records, hash_sum })
            })
            .collect();
        // Lanes stand in the order of their first record, which another run need not share.
        sums.sort_unstable_by_key(|sum| (sum.topic, sum.partition));
        sums
    }

    /// The epoch's share of `now`.
    pub fn fates(&self, now: &[FateCount]) -> Vec<FateCount> {
        let before = self.fates_before.as_deref().unwrap_or_default();
        let of = |name: &str| before.iter().find(|fate| fate.name == name).map_or(0, |fate| fate.records);
        let share = |fate: &FateCount| FateCount { records: fate.records.saturating_sub(of(fate.name)), ..*fate };
        now.iter().map(share).filter(|fate| fate.records > 0).collect()
    }
}
