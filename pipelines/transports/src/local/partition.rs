//! One partition: its offsets, what of it is in memory, and how far it may be read.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::frame::Chunk;
use super::segment::Segment;

/// A topic and its partitions.
#[derive(Debug)]
pub(crate) struct Topic {
    pub id: u32,
    pub name: String,
    pub partitions: Vec<Arc<Partition>>,
}

/// A partition's state behind a lock that is only ever held for a few pointer moves.
#[derive(Debug)]
pub(crate) struct Partition {
    pub topic_id: u32,
    pub topic: String,
    pub index: u32,
    cache_bytes: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default, Clone)]
struct State {
    /// The next offset to give out.
    next_offset: u64,
    /// Everything below is durable, or a gap.
    end: u64,
    earliest: u64,
    /// The offset after the last durable record.
    record_end: u64,
    /// Durable records at or above are in `segments`; those below only in the store.
    cached_from: u64,
    cached_bytes: usize,
    segments: VecDeque<Arc<Segment>>,
    /// Base of the newest chunk, for the chain that shows a missing one.
    last_base: Option<u64>,
    /// Open transactions and where each began: nothing from there on is stable.
    open: Vec<(u64, u64)>,
}

impl State {
    fn stable_end(&self) -> u64 {
        self.open.iter().map(|(_, begin)| *begin).fold(self.end, u64::min)
    }
}

/// Where a chunk goes.
pub(crate) enum Placement {
    /// Directly behind the chunk before it in the same write, as part of it.
    Extends,
    /// As a chunk of its own.
    New { base: u64, previous_base: Option<u64> },
}

/// What a reader may read now.
pub(crate) struct View {
    /// Records below are stable.
    pub stable_end: u64,
    pub earliest: u64,
    /// The records wanted begin below what is in memory.
    pub cold: bool,
    pub segments: Vec<Arc<Segment>>,
}

/// A partition as a store or a crash hands it over.
#[derive(Debug, Clone, Default)]
pub struct PartitionImage {
    /// The earliest offset kept.
    pub earliest: u64,
    /// The next offset to give out.
    pub next_offset: u64,
    /// The offset after the last record.
    pub record_end: u64,
    /// Base offset of the newest chunk.
    pub last_base: Option<u64>,
}

impl Partition {
    pub(crate) fn new(topic_id: u32, topic: &str, index: u32, cache_bytes: usize, image: &PartitionImage) -> Self {
        let state = State {
            next_offset: image.next_offset,
            end: image.next_offset,
            earliest: image.earliest,
            record_end: image.record_end,
            cached_from: image.record_end,
            last_base: image.last_base,
            ..State::default()
        };
        Self { topic_id, topic: topic.to_owned(), index, cache_bytes, state: Mutex::new(state) }
    }

    /// The same partition as a process would find it that knew only what is durable.
    pub(crate) fn durable_copy(&self) -> Self {
        let mut state = self.state.lock().clone();
        // Transactions that were open are gone; what they would have written leaves a gap.
        state.next_offset += u64::from(!state.open.is_empty());
        state.open.clear();
        state.end = state.next_offset;
        let (topic, cache_bytes) = (self.topic.clone(), self.cache_bytes);
        Self { topic_id: self.topic_id, topic, index: self.index, cache_bytes, state: Mutex::new(state) }
    }

    /// Gives out offsets for `count` records and `gap` offsets after them. `extends` is the end of a chunk in the same write.
    pub(crate) fn place(&self, count: u32, gap: u32, extends: Option<u64>) -> Placement {
        let mut state = self.state.lock();
        let base = state.next_offset;
        state.next_offset += u64::from(count) + u64::from(gap);
        if extends == Some(base) {
            return Placement::Extends;
        }
        Placement::New { base, previous_base: state.last_base.replace(base) }
    }

    /// Makes a durable chunk readable (once no transaction holds it back).
    pub(crate) fn publish(&self, base: u64, gap: u32, chunk: Chunk) {
        let mut state = self.state.lock();
        let record_end = base + u64::from(chunk.count);
        state.record_end = record_end;
        state.end = state.end.max(record_end + u64::from(gap));
        state.cached_bytes += chunk.bytes.len();
        // A segment that a reader looks at just now is left alone: a new one begins.
        match state.segments.back_mut().and_then(Arc::get_mut) {
            Some(segment) if segment.has_room(&chunk) => segment.append(base, &chunk),
            _ => state.segments.push_back(Arc::new(Segment::new(base, chunk))),
        }
        let stable_end = state.stable_end();
        while state.cached_bytes > self.cache_bytes && state.segments.len() > 1 {
            let Some(oldest) = state.segments.front() else { break };
            let (end, bytes) = (oldest.end(), oldest.size_bytes());
            if end > stable_end {
                break;
            }
            state.segments.pop_front();
            state.cached_bytes -= bytes;
            state.cached_from = end;
        }
    }

    /// Loses offsets, as the markers and records of an aborted transaction do.
    pub(crate) fn skip(&self, offsets: u64) {
        let mut state = self.state.lock();
        if state.end == state.next_offset {
            state.end += offsets;
        }
        state.next_offset += offsets;
    }

    /// A transaction writes here for the first time: what follows is not stable until it ends.
    pub(crate) fn open(&self, transaction: u64) {
        let mut state = self.state.lock();
        let begin = state.next_offset;
        state.open.push((transaction, begin));
    }

    /// The transaction has ended.
    pub(crate) fn close(&self, transaction: u64) {
        self.state.lock().open.retain(|(open, _)| *open != transaction);
    }

    pub(crate) fn earliest(&self) -> u64 {
        self.state.lock().earliest
    }

    /// The offset after the last one that is durable or lost.
    pub(crate) fn end(&self) -> u64 {
        self.state.lock().end
    }

    /// Records below are stable: no open transaction can still put one there.
    pub(crate) fn stable_end(&self) -> u64 {
        self.state.lock().stable_end()
    }

    /// What can be read from `offset` on; about `bytes` of it.
    pub(crate) fn view(&self, offset: u64, bytes: usize) -> View {
        let state = self.state.lock();
        let mut view = View {
            stable_end: state.stable_end(),
            earliest: state.earliest,
            cold: offset < state.cached_from,
            segments: Vec::new(),
        };
        if view.cold || offset >= state.record_end || offset >= view.stable_end {
            return view;
        }
        let first = state.segments.partition_point(|segment| segment.end() <= offset);
        let mut held = 0;
        for (n, segment) in state.segments.range(first..).enumerate() {
            // The first one may hold little of what is wanted, so its size does not count.
            if held >= bytes {
                break;
            }
            view.segments.push(Arc::clone(segment));
            held += if n == 0 { 0 } else { segment.size_bytes() };
        }
        view
    }

    /// Whether no stable record is left at or after `offset`.
    pub(crate) fn at_end(&self, offset: u64) -> bool {
        let state = self.state.lock();
        let offset = offset.max(state.earliest);
        if offset >= state.record_end {
            return true;
        }
        let stable_end = state.stable_end();
        if stable_end >= state.record_end || offset < state.cached_from {
            return false;
        }
        let next = state.segments.iter().find_map(|segment| segment.next_record(offset));
        next.is_none_or(|next| next >= stable_end)
    }

    /// Drops what lies below `earliest` from memory and from sight.
    pub(crate) fn forget_below(&self, earliest: u64) {
        let mut state = self.state.lock();
        state.earliest = state.earliest.max(earliest);
        while let Some(oldest) = state.segments.front() {
            let (end, bytes) = (oldest.end(), oldest.size_bytes());
            if end > earliest {
                break;
            }
            state.segments.pop_front();
            state.cached_bytes -= bytes;
            state.cached_from = state.cached_from.max(end);
        }
    }

    /// For a log that has everything in memory: drops the stable segments that lie wholly below `offset`.
    pub(crate) fn forget_segments_below(&self, offset: u64) {
        let below = {
            let state = self.state.lock();
            let limit = offset.min(state.stable_end());
            let dropped = state.segments.iter().take_while(|segment| segment.end() <= limit).last();
            dropped.map_or(state.earliest, |segment| segment.end())
        };
        self.forget_below(below);
    }

    /// For a log that has everything in memory: the offset below which all stable records are older than `before_ms`.
    pub(crate) fn old_prefix_end(&self, before_ms: i64) -> u64 {
        let state = self.state.lock();
        let stable_end = state.stable_end();
        let old = |segment: &&Arc<Segment>| segment.max_timestamp_ms() < before_ms && segment.end() <= stable_end;
        state.segments.iter().take_while(old).last().map_or(state.earliest, |segment| segment.end())
    }
}
