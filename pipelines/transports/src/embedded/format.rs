//! Keys and values of the embedded log. All in one keyspace, so that whatever was written together is flushed together.
//!
//! | key | value |
//! |---|---|
//! | `f` | format version, u32 |
//! | `t` topic name | topic id u32, partitions u32, retention tag u8, retention i64 |
//! | `o` topic id u32, partition u32, group | offset u64, metadata |
//! | `s` topic id u32, partition u32 | earliest offset u64 (absent: 0) |
//! | `q` sequence u64 | one for each of the last writes, the chain that shows a lost one; holds the [`seal`] of each offset written |
//! | `c` topic id u32, partition u32, base offset u64 | chunk |
//!
//! Numbers in keys are big-endian, so that keys sort as offsets do; numbers in values are little-endian.

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::local::Chunk;
use crate::local::store::PlacedChunk;
use crate::{Committed, Retention, TopicSpec};

/// Version of this layout. A log of another version is refused, never guessed at.
pub(crate) const FORMAT_VERSION: u32 = 1;

pub(crate) const FORMAT_KEY: &[u8] = b"f";
pub(crate) const TOPIC: u8 = b't';
pub(crate) const OFFSET: u8 = b'o';
pub(crate) const SEQUENCE: u8 = b'q';

/// Checksum (8), base (8), base of the chunk before or `u64::MAX` (8), newest timestamp (8), count (4), gap (4).
const CHUNK_HEADER_BYTES: usize = 40;

const NO_CHUNK_BEFORE: u64 = u64::MAX;

fn key<const N: usize>(tag: u8, numbers: [u32; N]) -> Vec<u8> {
    let mut key = vec![tag];
    for number in numbers {
        key.extend_from_slice(&number.to_be_bytes());
    }
    key
}

pub(crate) fn topic_key(name: &str) -> Vec<u8> {
    let mut key = vec![TOPIC];
    key.extend_from_slice(name.as_bytes());
    key
}

pub(crate) fn offset_key(topic_id: u32, partition: u32, group: &str) -> Vec<u8> {
    let mut key = key(OFFSET, [topic_id, partition]);
    key.extend_from_slice(group.as_bytes());
    key
}

pub(crate) fn start_key(topic_id: u32, partition: u32) -> Vec<u8> {
    key(b's', [topic_id, partition])
}

pub(crate) fn sequence_key(sequence: u64) -> Vec<u8> {
    let mut key = vec![SEQUENCE];
    key.extend_from_slice(&sequence.to_be_bytes());
    key
}

pub(crate) fn chunk_key(topic_id: u32, partition: u32, base: u64) -> Vec<u8> {
    let mut key = key(b'c', [topic_id, partition]);
    key.extend_from_slice(&base.to_be_bytes());
    key
}

/// Reads numbers off the front of a value or key.
pub(crate) struct Cut<'a>(pub &'a [u8]);

impl<'a> Cut<'a> {
    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }
    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }
    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_le_bytes)
    }
    pub(crate) fn big_u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }
}

pub(crate) fn topic_value(id: u32, spec: &TopicSpec) -> Vec<u8> {
    let (tag, kept_ms) = match spec.retention {
        Retention::Forever => (0u8, 0),
        Retention::TimeMs(kept_ms) => (1, kept_ms),
        Retention::Compact => (2, 0),
    };
    let mut value = Vec::with_capacity(17);
    value.extend_from_slice(&id.to_le_bytes());
    value.extend_from_slice(&spec.partitions.to_le_bytes());
    value.push(tag);
    value.extend_from_slice(&kept_ms.to_le_bytes());
    value
}

pub(crate) fn topic_from(key: &[u8], value: &[u8]) -> Option<(u32, TopicSpec)> {
    let name = std::str::from_utf8(key.get(1..)?).ok()?.to_owned();
    let mut value = Cut(value);
    let (id, partitions, [tag], kept_ms) = (value.u32()?, value.u32()?, value.take::<1>()?, value.i64()?);
    let retention = match tag {
        0 => Retention::Forever,
        1 => Retention::TimeMs(kept_ms),
        2 => Retention::Compact,
        _ => return None,
    };
    Some((id, TopicSpec { name, partitions, retention }))
}

pub(crate) fn offset_value(committed: &Committed) -> Vec<u8> {
    let mut value = committed.offset.to_le_bytes().to_vec();
    value.extend_from_slice(committed.metadata.as_bytes());
    value
}

/// Hashes of an offset's key and value, as the chain of writes keeps them: by them an older offset that came back is noticed.
pub(crate) fn seal(key: &[u8], value: &[u8]) -> (u64, u64) {
    (xxh3_64(key), xxh3_64(value))
}

pub(crate) fn seals_value(seals: &[(u64, u64)]) -> Vec<u8> {
    seals.iter().flat_map(|(key, value)| [key.to_le_bytes(), value.to_le_bytes()]).flatten().collect()
}

pub(crate) fn seals_from(value: &[u8]) -> impl Iterator<Item = (u64, u64)> {
    value.chunks(16).filter_map(|seal| {
        let mut seal = Cut(seal);
        Some((seal.u64()?, seal.u64()?))
    })
}

/// Group, topic id, partition and position.
pub(crate) fn offset_from(key: &[u8], value: &[u8]) -> Option<(String, u32, u32, Committed)> {
    let mut key = Cut(key.get(1..)?);
    let (topic_id, partition) = (key.big_u32()?, key.big_u32()?);
    let group = std::str::from_utf8(key.rest()).ok()?.to_owned();
    let mut value = Cut(value);
    let offset = value.u64()?;
    let metadata = std::str::from_utf8(value.rest()).ok()?.to_owned();
    Some((group, topic_id, partition, Committed { offset, metadata }))
}

pub(crate) fn chunk_value(placed: &PlacedChunk) -> Vec<u8> {
    let mut value = Vec::with_capacity(CHUNK_HEADER_BYTES + placed.chunk.bytes.len());
    value.extend_from_slice(&[0u8; 8]);
    value.extend_from_slice(&placed.base.to_le_bytes());
    value.extend_from_slice(&placed.previous_base.unwrap_or(NO_CHUNK_BEFORE).to_le_bytes());
    value.extend_from_slice(&placed.chunk.max_timestamp_ms.to_le_bytes());
    value.extend_from_slice(&placed.chunk.count.to_le_bytes());
    value.extend_from_slice(&placed.gap.to_le_bytes());
    value.extend_from_slice(&placed.chunk.bytes);
    let checksum = checksum(placed.topic_id, placed.partition, value.get(8..).unwrap_or_default());
    if let Some(slot) = value.first_chunk_mut::<8>() {
        *slot = checksum.to_le_bytes();
    }
    value
}

/// The chunk in a value, if it is exactly what was written at this place.
pub(crate) fn chunk_from(topic_id: u32, partition: u32, base: u64, value: &[u8]) -> Result<PlacedChunk, &'static str> {
    const SHORT: &str = "its header is cut short";
    let mut cut = Cut(value);
    let expected = cut.u64().ok_or(SHORT)?;
    if checksum(topic_id, partition, cut.0) != expected {
        return Err("its checksum does not agree");
    }
    let written_base = cut.u64().ok_or(SHORT)?;
    let previous_base = cut.u64().ok_or(SHORT)?;
    let max_timestamp_ms = cut.i64().ok_or(SHORT)?;
    let (count, gap) = (cut.u32().ok_or(SHORT)?, cut.u32().ok_or(SHORT)?);
    if written_base != base {
        return Err("it was written for another offset");
    }
    let chunk = Chunk::from_bytes(count, max_timestamp_ms, cut.rest().to_vec()).ok_or("its records do not add up")?;
    let previous_base = (previous_base != NO_CHUNK_BEFORE).then_some(previous_base);
    Ok(PlacedChunk { topic_id, partition, base, gap, previous_base, chunk })
}

/// Covers the place too, so that a chunk cannot stand in for another.
fn checksum(topic_id: u32, partition: u32, bytes: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(&topic_id.to_le_bytes());
    hasher.update(&partition.to_le_bytes());
    hasher.update(bytes);
    hasher.digest()
}
