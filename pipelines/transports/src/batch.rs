//! Records as they are polled: one batch a poll, so that a record costs no allocation.

use std::ops::Range;
use std::sync::Arc;

use crate::local::frame::{Frame, HEADER_BYTES, frame_at, push_frame};
use crate::local::segment::Segment;

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
    /// Which of the held segments has the record's frame; `None`: it was copied.
    held: Option<u32>,
    /// Where the frame starts. It is looked at when the record is asked for.
    start: usize,
}

/// The records of one poll, in the order they were delivered. Reused between polls: [`Batch::clear`] keeps its memory.
///
/// Records of a log in this process are not copied: the batch holds the memory they lie in, until it is cleared, whatever the log
/// forgets meanwhile.
#[derive(Debug, Default)]
pub struct Batch {
    /// Frames of copied records.
    bytes: Vec<u8>,
    held: Vec<Arc<Segment>>,
    entries: Vec<Entry>,
    size_bytes: usize,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all records and keeps its own memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.held.clear();
        self.entries.clear();
        self.size_bytes = 0;
    }

    /// Appends one record by copying its bytes.
    pub fn push(&mut self, record: RecordRef<'_>) {
        let RecordRef { topic, partition, offset, timestamp_ms, key, value } = record;
        let start = self.bytes.len();
        push_frame(&mut self.bytes, timestamp_ms, key, |bytes| bytes.extend_from_slice(value));
        self.entries.push(Entry { topic, partition, offset, held: None, start });
        self.size_bytes += key.len() + value.len();
    }

    /// Appends one record by copying its frame.
    pub(crate) fn push_frame(&mut self, frame: &[u8], topic: u16, partition: u32, offset: u64) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(frame);
        self.entries.push(Entry { topic, partition, offset, held: None, start });
        self.size_bytes += frame.len().saturating_sub(HEADER_BYTES);
    }

    /// Keeps a segment until the batch is cleared. Returns its number for [`Batch::push_held`].
    pub(crate) fn hold(&mut self, segment: Arc<Segment>) -> u32 {
        self.held.push(segment);
        // A batch holds a few segments of a megabyte.
        self.held.len() as u32 - 1
    }

    /// Appends one record that is a frame of a held segment.
    pub(crate) fn push_held(&mut self, held: u32, frame: Range<usize>, topic: u16, partition: u32, offset: u64) {
        self.entries.push(Entry { topic, partition, offset, held: Some(held), start: frame.start });
        self.size_bytes += frame.len().saturating_sub(HEADER_BYTES);
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
        self.size_bytes
    }

    /// The record at `index`, if there is one.
    pub fn get(&self, index: usize) -> Option<RecordRef<'_>> {
        let entry = self.entries.get(index)?;
        let bytes = match entry.held {
            None => &self.bytes[..],
            Some(held) => self.held.get(held as usize)?.bytes(),
        };
        let Frame { timestamp_ms, key, value } = frame_at(bytes, entry.start)?;
        let Entry { topic, partition, offset, .. } = *entry;
        Some(RecordRef { topic, partition, offset, timestamp_ms, key, value })
    }

    /// The records in delivery order.
    pub fn iter(&self) -> impl Iterator<Item = RecordRef<'_>> {
        (0..self.entries.len()).filter_map(|index| self.get(index))
    }
}
