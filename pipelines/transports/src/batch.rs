//! Records as they are polled: one arena a poll, so that a record costs no allocation.

/// One record, borrowed from the [`Batch`] that holds its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// Index into the topics that the reader or member was opened with.
    pub topic: u16,
    /// Partition within the topic.
    pub partition: u32,
    /// Offset within the partition; offsets rise and have gaps.
    pub offset: u64,
    /// The record's append or create time, milliseconds since the epoch, as the producer gave it.
    pub timestamp_ms: i64,
    /// The key's bytes; empty where the record has none.
    pub key: &'a [u8],
    /// The value's bytes; empty for a tombstone.
    pub value: &'a [u8],
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    topic: u16,
    partition: u32,
    offset: u64,
    timestamp_ms: i64,
    key_start: usize,
    value_start: usize,
    end: usize,
}

/// The records of one poll, in the order they were delivered. Reused between polls: [`Batch::clear`] keeps its memory.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all records and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    /// Appends one record by copying its bytes.
    pub fn push(&mut self, record: RecordRef<'_>) {
        let key_start = self.bytes.len();
        self.bytes.extend_from_slice(record.key);
        let value_start = self.bytes.len();
        self.bytes.extend_from_slice(record.value);
        self.entries.push(Entry {
            topic: record.topic,
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            key_start,
            value_start,
            end: self.bytes.len(),
        });
    }

    /// Number of records held.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no record is held.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Key and value bytes held.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The record at `index`, if there is one.
    pub fn get(&self, index: usize) -> Option<RecordRef<'_>> {
        let entry = self.entries.get(index)?;
        Some(RecordRef {
            topic: entry.topic,
            partition: entry.partition,
            offset: entry.offset,
            timestamp_ms: entry.timestamp_ms,
            key: self.bytes.get(entry.key_start..entry.value_start)?,
            value: self.bytes.get(entry.value_start..entry.end)?,
        })
    }

    /// The records in delivery order.
    pub fn iter(&self) -> impl Iterator<Item = RecordRef<'_>> {
        (0..self.entries.len()).filter_map(|index| self.get(index))
    }
}
