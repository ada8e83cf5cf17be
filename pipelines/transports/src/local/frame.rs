//! How a record lies in memory and on disk: a fixed header, then its key, then its value. Offsets are not in it: records of a
//! chunk are consecutive, so a chunk is written before its place in the log is known and then handed over without a copy.

use crate::buffer::Buffer;

/// Timestamp (8), key length (4), value length (4), little endian.
pub(crate) const HEADER_BYTES: usize = 16;

/// A guess, to make room for as many ends.
const USUAL_FRAME_BYTES: usize = 512;

/// A chunk is closed when it would grow beyond this, so that a reader never holds much more than it delivers.
pub(crate) const CHUNK_BYTES: usize = 256 << 10;

/// Consecutive records of one partition.
#[derive(Debug, Default, Clone)]
pub struct Chunk {
    /// How many records.
    pub count: u32,
    /// The newest timestamp among them (retention looks at it).
    pub max_timestamp_ms: i64,
    /// The frames, end to end.
    pub(crate) bytes: Buffer,
    /// Where each ends: so that records are found and counted without a look at their memory, which is far away by then.
    pub(crate) ends: Vec<u32>,
}

impl Chunk {
    /// No record, and room for about this many bytes.
    pub(crate) fn with_room(bytes: usize) -> Self {
        Self::within(Buffer::with_room(bytes))
    }

    /// No record, and room for [`CHUNK_BYTES`] and somewhat more.
    pub(crate) fn for_whole() -> Self {
        Self::within(Buffer::for_chunk())
    }

    fn within(bytes: Buffer) -> Self {
        let ends = Vec::with_capacity(bytes.capacity() / USUAL_FRAME_BYTES);
        Self { count: 0, max_timestamp_ms: i64::MIN, bytes, ends }
    }

    /// The chunk that lies in these bytes, if they are exactly `count` whole frames.
    pub(crate) fn from_bytes(count: u32, max_timestamp_ms: i64, bytes: Vec<u8>) -> Option<Self> {
        let (mut at, mut ends) = (0, Vec::new());
        for _ in 0..count {
            at += frame_at(&bytes, at)?.size();
            ends.push(u32::try_from(at).ok()?);
        }
        (at == bytes.len()).then(|| Self { count, max_timestamp_ms, bytes: bytes.into(), ends })
    }

    /// Adds a record. Lengths fit: the log refuses records above its limit before.
    pub(crate) fn push(&mut self, timestamp_ms: i64, key: &[u8], value: &[u8]) {
        self.push_with(timestamp_ms, key, |bytes| bytes.extend_from_slice(value));
    }

    /// Adds a record whose value `write` appends. Returns its key and value bytes.
    pub(crate) fn push_with(&mut self, timestamp_ms: i64, key: &[u8], write: impl FnOnce(&mut Vec<u8>)) -> usize {
        let bytes = push_frame(&mut self.bytes, timestamp_ms, key, write);
        // A chunk is far smaller than 4 GiB: the log refuses records above its limit.
        self.ends.push(self.bytes.len() as u32);
        self.count += 1;
        self.max_timestamp_ms = self.max_timestamp_ms.max(timestamp_ms);
        bytes
    }

    /// Appends another chunk's records behind these.
    pub(crate) fn extend(&mut self, other: &Chunk) {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(&other.bytes);
        self.ends.extend(other.ends.iter().map(|end| start + end));
        self.count += other.count;
        self.max_timestamp_ms = self.max_timestamp_ms.max(other.max_timestamp_ms);
    }
}

/// A record as it lies in a chunk.
pub(crate) struct Frame<'a> {
    pub timestamp_ms: i64,
    pub key: &'a [u8],
    pub value: &'a [u8],
}

impl Frame<'_> {
    pub(crate) fn size(&self) -> usize {
        HEADER_BYTES + self.key.len() + self.value.len()
    }
}

/// The frame that starts at `at`; `None` where none fits.
pub(crate) fn frame_at(bytes: &[u8], at: usize) -> Option<Frame<'_>> {
    let rest = bytes.get(at..)?;
    let (time, rest) = rest.split_first_chunk::<8>()?;
    let (key_length, rest) = rest.split_first_chunk::<4>()?;
    let (value_length, rest) = rest.split_first_chunk::<4>()?;
    let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*key_length) as usize)?;
    let value = rest.get(..u32::from_le_bytes(*value_length) as usize)?;
    Some(Frame { timestamp_ms: i64::from_le_bytes(*time), key, value })
}

/// Appends a frame whose value `write` appends. Returns its key and value bytes.
pub(crate) fn push_frame(
    bytes: &mut Vec<u8>,
    timestamp_ms: i64,
    key: &[u8],
    write: impl FnOnce(&mut Vec<u8>),
) -> usize {
    let start = bytes.len();
    let mut header = [0u8; HEADER_BYTES];
    let (time, lengths) = header.split_at_mut(8);
    let (key_length, _) = lengths.split_at_mut(4);
    time.copy_from_slice(&timestamp_ms.to_le_bytes());
    key_length.copy_from_slice(&(key.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(key);
    let value_start = bytes.len();
    write(bytes);
    // Known only now.
    let length = bytes.len().saturating_sub(value_start);
    if let Some(slot) = bytes.get_mut(start + HEADER_BYTES - 4..start + HEADER_BYTES) {
        slot.copy_from_slice(&(length as u32).to_le_bytes());
    }
    key.len() + length
}
