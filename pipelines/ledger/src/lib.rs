//! What ledger records say. The runtime keeps count and knows no records; stages share this book, and verification reads it.

use millstream_runtime::{LedgerBook, LedgerEntry};
use millstream_schemas::{DecodeError, Ledger, LedgerFate, LedgerOutput, SchemaIds, frame};
use millstream_transports::TopicSpec;

/// The book of one stage.
#[derive(Debug, Clone)]
pub struct StageBook {
    stage: &'static str,
    topic: u16,
    outputs: Vec<String>,
    schema_ids: SchemaIds,
}

impl StageBook {
    /// The book of `stage`, whose outputs are these and whose ledger is the one numbered `topic` among them.
    pub fn new(stage: &'static str, topic: u16, outputs: &[TopicSpec], schema_ids: SchemaIds) -> Self {
        let outputs = outputs.iter().map(|output| output.name.clone()).collect();
        Self { stage, topic, outputs, schema_ids }
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl LedgerBook for StageBook {
    fn topic(&self) -> u16 {
        self.topic
    }

    fn encode(&self, entry: &LedgerEntry<'_>, value: &mut Vec<u8>) {
        let fates = entry.fates.iter().map(|fate| LedgerFate { name: fate.name, records: signed(fate.records) });
        let outputs = entry.outputs.iter().map(|sum| LedgerOutput {
            topic: self.outputs.get(usize::from(sum.topic)).map_or("", String::as_str),
            partition: i32::try_from(sum.partition).unwrap_or(i32::MAX),
            records: signed(sum.records),
            hash_sum: sum.hash_sum.cast_signed(),
        });
        let ledger = Ledger {
            stage: entry.stage,
            topic: entry.topic,
            partition: i32::try_from(entry.partition).unwrap_or(i32::MAX),
            first: signed(entry.first),
            next: signed(entry.next),
            records: signed(entry.records),
            fates: fates.collect(),
            outputs: outputs.collect(),
        };
        ledger.encode_framed(self.schema_ids.to_wire(Ledger::ID), value);
    }

    fn next_offset(&self, value: &[u8], topic: &str, partition: u32) -> Option<u64> {
        let note = decode(value, &self.schema_ids).ok()??;
        let is_ours = note.stage == self.stage && note.topic == topic && u32::try_from(note.partition) == Ok(partition);
        is_ours.then(|| u64::try_from(note.next).ok()).flatten()
    }
}

/// Reads a record of the ledger's topic; `None` for one that notes nothing: a stage that doubts the group's offset leaves a record
/// without value to see how far the ledger can be read.
///
/// # Errors
/// Where the bytes are no ledger record.
pub fn decode<'a>(value: &'a [u8], schema_ids: &SchemaIds) -> Result<Option<Ledger<'a>>, NoLedger> {
    if value.is_empty() {
        return Ok(None);
    }
    let (wire_id, body) = frame::split(value).map_err(NoLedger::Frame)?;
    match schema_ids.from_wire(wire_id) {
        Ledger::ID => Ledger::decode(body).map(Some).map_err(NoLedger::Body),
        other => Err(NoLedger::Schema(other)),
    }
}

/// Why bytes in the ledger's topic are no ledger record.
#[derive(Debug, PartialEq, Eq)]
pub enum NoLedger {
    /// Not a frame.
    Frame(frame::FrameError),
    /// A frame of another record, by our schema id.
    Schema(u32),
    /// A damaged body.
    Body(DecodeError),
}

impl std::fmt::Display for NoLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Frame(error) => error.fmt(f),
            Self::Schema(id) => write!(f, "a record of schema {id}, which is no ledger"),
            Self::Body(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for NoLedger {}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use millstream_runtime::{FateCount, OutputSum};
    use millstream_transports::Retention;

    use super::*;

    #[test]
    fn what_is_noted_is_read_back_by_its_own_task_only() {
        let spec = |name: &str| TopicSpec { name: name.to_owned(), partitions: 9, retention: Retention::Forever };
        let ids = SchemaIds::registered([(Ledger::ID, 77)]);
        let book = StageBook::new("ingest", 1, &[spec("events"), spec("ledger")], ids.clone());
        let entry = LedgerEntry {
            stage: "ingest",
            topic: "events.collected",
            partition: 3,
            first: 10,
            next: 15,
            records: 4,
            timestamp_ms: 0,
            fates: &[FateCount { name: "accepted", records: 3 }, FateCount { name: "duplicate", records: 1 }],
            outputs: &[OutputSum { topic: 0, partition: 8, records: 3, hash_sum: u64::MAX - 1 }],
        };
        let mut value = Vec::new();
        book.encode(&entry, &mut value);
        let note = decode(&value, &ids).unwrap().unwrap();
        assert_eq!(
            (note.stage, note.topic, note.partition, note.first, note.next),
            ("ingest", "events.collected", 3, 10, 15)
        );
        assert_eq!((note.records, note.fates.len()), (4, 2));
        assert_eq!(note.outputs, [LedgerOutput { topic: "events", partition: 8, records: 3, hash_sum: -2 }]);
        assert_eq!(book.next_offset(&value, "events.collected", 3), Some(15));
        for (topic, partition) in [("events.collected", 2), ("events", 3)] {
            assert_eq!(book.next_offset(&value, topic, partition), None);
        }
        let other = StageBook::new("profile", 1, &[], ids.clone());
        assert_eq!(other.next_offset(&value, "events.collected", 3), None);
        assert_eq!(decode(&[], &ids), Ok(None));
        assert!(decode(&[0, 0, 0, 0, 9, 1], &ids).is_err());
        assert!(decode(&value[..value.len() - 1], &ids).is_err());
    }
}
