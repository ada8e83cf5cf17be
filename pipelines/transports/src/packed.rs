//! Records of one partition, packed where they are made as the local logs keep them: nothing copies them on their way there.

use crate::local::frame::{CHUNK_BYTES, Chunk, Frame, frame_at};
use crate::record_hash::hash_frame;

/// Records for one partition, in order. About [`Packed::is_full`] large at most; a full one is followed by another.
#[derive(Debug)]
pub struct Packed {
    pub(crate) chunk: Chunk,
    /// Key and value bytes of the largest record there has been.
    pub(crate) largest_bytes: usize,
}

/// A point to which [`Packed::truncate`] can go back.
#[derive(Debug, Clone, Copy)]
pub struct PackedMark {
    end: usize,
    count: u32,
    max_timestamp_ms: i64,
    largest_bytes: usize,
}

/// One of the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedRecord<'a> {
    /// Milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// Key bytes.
    pub key: &'a [u8],
    /// Value bytes.
    pub value: &'a [u8],
}

impl<'a> From<Frame<'a>> for PackedRecord<'a> {
    fn from(frame: Frame<'a>) -> Self {
        Self { timestamp_ms: frame.timestamp_ms, key: frame.key, value: frame.value }
    }
}

impl Packed {
    /// No record, and room for about this many bytes.
    pub fn with_room(bytes: usize) -> Self {
        Self { chunk: Chunk::with_room(bytes), largest_bytes: 0 }
    }

    /// No record, and room until it is full.
    pub fn with_full_room() -> Self {
        Self { chunk: Chunk::for_whole(), largest_bytes: 0 }
    }

    /// Adds a record whose value `write` appends to the given buffer. Returns its key and value bytes.
    ///
    /// Where `write` panics, the record is half there: [`Packed::truncate`] to before it.
    pub fn push(&mut self, timestamp_ms: i64, key: &[u8], write: impl FnOnce(&mut Vec<u8>)) -> usize {
        let bytes = self.chunk.push_with(timestamp_ms, key, write);
        self.largest_bytes = self.largest_bytes.max(bytes);
        bytes
    }

    /// Where it stands.
    pub fn mark(&self) -> PackedMark {
        PackedMark {
            end: self.chunk.bytes.len(),
            count: self.chunk.count,
            max_timestamp_ms: self.chunk.max_timestamp_ms,
            largest_bytes: self.largest_bytes,
        }
    }

    /// Drops what was added since `mark`.
    pub fn truncate(&mut self, mark: PackedMark) {
        self.chunk.bytes.truncate(mark.end);
        self.chunk.count = mark.count;
        self.chunk.ends.truncate(mark.count as usize);
        self.chunk.max_timestamp_ms = mark.max_timestamp_ms;
        self.largest_bytes = mark.largest_bytes;
    }

    /// Whether the next record should begin another one (256 KiB, with the 16 bytes that come with each record).
    pub fn is_full(&self) -> bool {
        self.chunk.bytes.len() >= CHUNK_BYTES
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.chunk.count as usize
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.chunk.count == 0
    }

    /// Bytes held, with the 16 that come with each record.
    pub fn size_bytes(&self) -> usize {
        self.chunk.bytes.len()
    }

    /// The record that was added when it stood at `mark`.
    pub fn at(&self, mark: PackedMark) -> Option<PackedRecord<'_>> {
        frame_at(&self.chunk.bytes, mark.end).map(PackedRecord::from)
    }

    /// As [`crate::record_hash()`], of the record that was added at `mark`; a frame is already the bytes that it hashes.
    pub fn hash_at(&self, mark: PackedMark) -> Option<u64> {
        let frame = frame_at(&self.chunk.bytes, mark.end)?;
        Some(hash_frame(self.chunk.bytes.get(mark.end..mark.end + frame.size())?))
    }

    /// The records in order.
    pub fn iter(&self) -> impl Iterator<Item = PackedRecord<'_>> {
        let starts = std::iter::once(0).chain(self.chunk.ends.iter().copied());
        starts.take(self.len()).map_while(|start| frame_at(&self.chunk.bytes, start as usize).map(PackedRecord::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_back_and_taken_back() {
        let mut packed = Packed::with_room(10);
        assert_eq!(packed.push(5, b"k", |value| value.extend_from_slice(b"one")), 4);
        let mark = packed.mark();
        packed.push(9, b"", |value| value.extend_from_slice(&[7; 100]));
        assert_eq!(packed.at(mark).map(|record| record.value.len()), Some(100));
        packed.truncate(mark);
        packed.push(3, b"key", |_| ());
        let expected = [
            PackedRecord { timestamp_ms: 5, key: b"k", value: b"one" },
            PackedRecord { timestamp_ms: 3, key: b"key", value: b"" },
        ];
        assert_eq!(packed.iter().collect::<Vec<_>>(), expected);
        assert_eq!((packed.len(), packed.largest_bytes, packed.chunk.max_timestamp_ms), (2, 4, 5));
        assert_eq!(packed.chunk.ends, [20, 39]);
        let mut room = Vec::new();
        assert_eq!(packed.hash_at(mark), Some(crate::record_hash(3, b"key", b"", &mut room)));
    }

    #[test]
    fn a_record_half_written_by_a_panic_is_taken_back() {
        let mut packed = Packed::with_full_room();
        let mark = packed.mark();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            packed.push(1, b"k", |value| {
                value.push(1);
                panic!("half way");
            })
        }));
        assert!(panicked.is_err());
        packed.truncate(mark);
        assert!(packed.is_empty() && packed.chunk.bytes.is_empty() && packed.chunk.ends.is_empty());
    }
}
