//! Contiguous bytes of one partition in memory, and how a reader walks over them.

use std::sync::Arc;

use super::frame::Chunk;
use crate::Batch;

/// Chunks smaller than this are gathered into shared segments; larger ones become a segment as they are. About half of what a buffer
/// holds, so that memory is not wasted on buffers that are nearly empty.
const OWN_SEGMENT_BYTES: usize = 128 << 10;

/// Consecutive offsets within a segment; between runs lie the gaps of transaction markers.
#[derive(Debug)]
struct Run {
    base: u64,
    count: u32,
    /// How many records of the segment come before it.
    first: usize,
}

impl Run {
    fn end(&self) -> u64 {
        self.base + u64::from(self.count)
    }
}

/// Some runs of records, in offset order. Bytes are only ever added.
#[derive(Debug)]
pub(crate) struct Segment {
    runs: Vec<Run>,
    chunk: Chunk,
    /// Nothing is added any more, so a reader may hold it for as long as it likes.
    is_whole: bool,
}

impl Segment {
    /// A segment for a chunk that is newly published: with room for more where the chunk is small.
    pub(crate) fn new(base: u64, chunk: Chunk) -> Self {
        if chunk.bytes.len() >= OWN_SEGMENT_BYTES {
            return Self::whole(base, chunk);
        }
        let mut segment = Self { runs: Vec::new(), chunk: Chunk::for_whole(), is_whole: false };
        segment.append(base, &chunk);
        segment
    }

    /// A segment that is exactly this chunk.
    pub(crate) fn whole(base: u64, chunk: Chunk) -> Self {
        Self { runs: vec![Run { base, count: chunk.count, first: 0 }], chunk, is_whole: true }
    }

    /// Whether `chunk` still fits without moving what is there.
    pub(crate) fn has_room(&self, chunk: &Chunk) -> bool {
        !self.is_whole && chunk.bytes.len() < OWN_SEGMENT_BYTES && self.room_bytes() >= chunk.bytes.len()
    }

    fn room_bytes(&self) -> usize {
        self.chunk.bytes.capacity() - self.chunk.bytes.len()
    }

    pub(crate) fn append(&mut self, base: u64, chunk: &Chunk) {
        match self.runs.last_mut() {
            Some(run) if run.end() == base => run.count += chunk.count,
            _ => self.runs.push(Run { base, count: chunk.count, first: self.chunk.ends.len() }),
        }
        self.chunk.extend(chunk);
    }

    /// The records' frames.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.chunk.bytes
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.chunk.bytes.len()
    }

    pub(crate) fn max_timestamp_ms(&self) -> i64 {
        self.chunk.max_timestamp_ms
    }

    /// The offset after the last record.
    pub(crate) fn end(&self) -> u64 {
        self.runs.last().map_or(0, Run::end)
    }

    /// The first record's offset at or after `offset`, if this segment has one.
    pub(crate) fn next_record(&self, offset: u64) -> Option<u64> {
        let index = self.runs.partition_point(|run| run.end() <= offset);
        self.runs.get(index).map(|run| run.base.max(offset))
    }

    /// Delivers records from `offset` on, those below `until`, until the batch holds `limit_bytes`, and moves `offset` on. Returns
    /// whether the batch is full. The batch holds a whole segment instead of copying from it; what is in one that still grows is
    /// little and is copied, for while a reader holds a segment nothing can be added to it.
    pub(crate) fn deliver(
        self: &Arc<Self>,
        offset: &mut u64,
        until: u64,
        limit_bytes: usize,
        topic: u16,
        partition: u32,
        batch: &mut Batch,
    ) -> bool {
        let mut held = None;
        let first = self.runs.partition_point(|run| run.end() <= *offset);
        for run in self.runs.iter().skip(first) {
            let from = run.base.max(*offset);
            // Offsets within a run and records within a segment fit.
            let number = run.first + (from - run.base) as usize;
            let ends = self.chunk.ends.get(number..).unwrap_or_default();
            let mut start = number.checked_sub(1).and_then(|before| self.chunk.ends.get(before)).map_or(0, |&end| end);
            for (at, &end) in (from..run.end()).zip(ends) {
                if at >= until {
                    return false;
                }
                if batch.size_bytes() >= limit_bytes {
                    return true;
                }
                let frame = start as usize..end as usize;
                if self.is_whole {
                    let held = *held.get_or_insert_with(|| batch.hold(Arc::clone(self)));
                    batch.push_held(held, frame, topic, partition, at);
                } else if let Some(frame) = self.chunk.bytes.get(frame) {
                    batch.push_frame(frame, topic, partition, at);
                }
                start = end;
                *offset = at + 1;
            }
        }
        false
    }
}
