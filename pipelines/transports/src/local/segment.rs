//! Contiguous bytes of one partition in memory, and how a cursor walks over them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::frame::{Chunk, frame_at};
use crate::Batch;
use crate::buffer::Buffer;

/// Chunks smaller than this are gathered into shared segments; larger ones become a segment as they are. About half of what a buffer
/// holds, so that memory is not wasted on buffers that are nearly empty.
const OWN_SEGMENT_BYTES: usize = 128 << 10;

static NEXT_SEGMENT: AtomicU64 = AtomicU64::new(1);

/// Consecutive offsets within a segment; between runs lie the gaps of transaction markers.
#[derive(Debug)]
struct Run {
    base: u64,
    count: u32,
    start: usize,
}

impl Run {
    fn end(&self) -> u64 {
        self.base + u64::from(self.count)
    }
}

/// Some runs of records, in offset order. Bytes are only ever added.
#[derive(Debug)]
pub(crate) struct Segment {
    id: u64,
    runs: Vec<Run>,
    bytes: Buffer,
    max_timestamp_ms: i64,
    /// Nothing is added any more, so a reader may hold it for as long as it likes.
    is_whole: bool,
}

/// Where a reader stands. The hint saves walking a segment from its start again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cursor {
    /// The next offset wanted.
    pub offset: u64,
    hint: Option<Hint>,
}

#[derive(Debug, Clone)]
struct Hint {
    segment: u64,
    run: usize,
    at: usize,
    offset: u64,
}

impl Cursor {
    pub(crate) fn new(offset: u64) -> Self {
        Self { offset, hint: None }
    }
}

impl Segment {
    /// A segment for a chunk that is newly published: with room for more where the chunk is small.
    pub(crate) fn new(base: u64, chunk: Chunk) -> Self {
        if chunk.bytes.len() >= OWN_SEGMENT_BYTES {
            return Self::whole(base, chunk);
        }
        let id = NEXT_SEGMENT.fetch_add(1, Ordering::Relaxed);
        let bytes = Buffer::for_chunk();
        let mut segment = Self { id, runs: Vec::new(), bytes, max_timestamp_ms: i64::MIN, is_whole: false };
        segment.append(base, &chunk);
        segment
    }

    /// A segment that is exactly this chunk.
    pub(crate) fn whole(base: u64, chunk: Chunk) -> Self {
        let id = NEXT_SEGMENT.fetch_add(1, Ordering::Relaxed);
        let runs = vec![Run { base, count: chunk.count, start: 0 }];
        Self { id, runs, bytes: chunk.bytes, max_timestamp_ms: chunk.max_timestamp_ms, is_whole: true }
    }

    /// Whether `chunk` still fits without moving what is there.
    pub(crate) fn has_room(&self, chunk: &Chunk) -> bool {
        !self.is_whole
            && chunk.bytes.len() < OWN_SEGMENT_BYTES
            && self.bytes.capacity() - self.bytes.len() >= chunk.bytes.len()
    }

    pub(crate) fn append(&mut self, base: u64, chunk: &Chunk) {
        match self.runs.last_mut() {
            Some(run) if run.end() == base => run.count += chunk.count,
            _ => self.runs.push(Run { base, count: chunk.count, start: self.bytes.len() }),
        }
        self.bytes.extend_from_slice(&chunk.bytes);
        self.max_timestamp_ms = self.max_timestamp_ms.max(chunk.max_timestamp_ms);
    }

    /// The records' frames.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn max_timestamp_ms(&self) -> i64 {
        self.max_timestamp_ms
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

    /// Delivers records from the cursor on, those below `until`, until the batch holds `limit_bytes`. Returns whether the batch is
    /// full. The batch holds a whole segment instead of copying from it; what is in one that still grows is little and is copied,
    /// for while a reader holds a segment nothing can be added to it.
    pub(crate) fn deliver(
        self: &Arc<Self>,
        cursor: &mut Cursor,
        until: u64,
        limit_bytes: usize,
        topic: u16,
        partition: u32,
        batch: &mut Batch,
    ) -> bool {
        let (mut index, mut at, mut offset) = self.find(cursor);
        let (mut full, mut shared) = (false, None);
        'runs: while let Some(run) = self.runs.get(index) {
            if offset < run.base {
                (at, offset) = (run.start, run.base);
            }
            while offset < run.end() {
                if offset >= until {
                    break 'runs;
                }
                if batch.size_bytes() >= limit_bytes {
                    full = true;
                    break 'runs;
                }
                // Every run was counted when it was written, or checked when it was read from disk.
                let Some(frame) = frame_at(&self.bytes, at) else { break 'runs };
                if self.is_whole {
                    let shared = *shared.get_or_insert_with(|| batch.hold(Arc::clone(self)));
                    batch.push_held(shared, at, frame.record(topic, partition, offset));
                } else {
                    batch.push(frame.record(topic, partition, offset));
                }
                at += frame.size();
                offset += 1;
                cursor.offset = offset;
            }
            index += 1;
        }
        if cursor.offset == offset {
            let run = index.min(self.runs.len().saturating_sub(1));
            cursor.hint = Some(Hint { segment: self.id, run, at, offset });
        }
        full
    }

    /// Run, byte position and offset of the first record at or after the cursor.
    fn find(&self, cursor: &Cursor) -> (usize, usize, u64) {
        if let Some(hint) = &cursor.hint
            && hint.segment == self.id
            && hint.offset == cursor.offset
        {
            return (hint.run, hint.at, hint.offset);
        }
        let index = self.runs.partition_point(|run| run.end() <= cursor.offset);
        let Some(run) = self.runs.get(index) else { return (index, self.bytes.len(), cursor.offset) };
        let (mut at, mut offset) = (run.start, run.base);
        while offset < cursor.offset {
            let Some(frame) = frame_at(&self.bytes, at) else { break };
            at += frame.size();
            offset += 1;
        }
        (index, at, offset)
    }
}
