//! What a stage wants written, in one arena, until the epoch commits.

use millstream_transports::Append;

#[derive(Debug, Clone, Copy)]
struct Entry {
    topic: u16,
    partition: u32,
    timestamp_ms: i64,
    key_start: usize,
    value_start: usize,
    end: usize,
}

/// Records to be produced in the current epoch, in order. Bounded by the epoch's byte limit.
#[derive(Debug, Default)]
pub struct Outputs {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

/// A point to which [`Outputs::truncate`] can go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    bytes: usize,
    entries: usize,
}

impl Outputs {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a record whose value `write` appends to the given buffer (typically `record.encode_framed`).
    /// `topic` indexes the stage's output topics.
    pub fn push(
        &mut self,
        topic: u16,
        partition: u32,
        timestamp_ms: i64,
        key: &[u8],
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let key_start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let value_start = self.bytes.len();
        write(&mut self.bytes);
        let end = self.bytes.len();
        self.entries.push(Entry { topic, partition, timestamp_ms, key_start, value_start, end });
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Key and value bytes.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Where we are now.
    pub fn mark(&self) -> Mark {
        Mark { bytes: self.bytes.len(), entries: self.entries.len() }
    }

    /// Drops everything added since `mark`.
    pub fn truncate(&mut self, mark: Mark) {
        self.bytes.truncate(mark.bytes);
        self.entries.truncate(mark.entries);
    }

    /// Drops everything and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    /// The records in order.
    pub fn iter(&self) -> impl Iterator<Item = Append<'_>> {
        self.entries.iter().map(|entry| Append {
            topic: entry.topic,
            partition: entry.partition,
            timestamp_ms: entry.timestamp_ms,
            key: &self.bytes[entry.key_start..entry.value_start],
            value: &self.bytes[entry.value_start..entry.end],
        })
    }
}
