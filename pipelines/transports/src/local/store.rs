//! What a local log asks of the place that keeps its bytes.

use super::frame::Chunk;
use super::partition::PartitionImage;
use crate::{Committed, Result, TopicSpec};

/// A topic as the store keeps it.
#[derive(Debug, Clone)]
pub struct StoredTopic {
    /// Number that stands for the name in keys.
    pub id: u32,
    /// Name, partition count, retention.
    pub spec: TopicSpec,
    /// One for each partition.
    pub partitions: Vec<PartitionImage>,
}

/// Everything a log knows when it opens, but the records.
#[derive(Debug, Default)]
pub struct Image {
    /// All topics.
    pub topics: Vec<StoredTopic>,
    /// All committed offsets.
    pub offsets: Vec<OffsetWrite>,
}

/// A chunk with its place in the log.
#[derive(Debug, Clone)]
pub struct PlacedChunk {
    /// Number of the topic.
    pub topic_id: u32,
    /// Partition within the topic.
    pub partition: u32,
    /// Offset of the first record.
    pub base: u64,
    /// Offsets lost after the last record (transaction marker).
    pub gap: u32,
    /// Base of the chunk before it in this partition: the chain by which a missing chunk is noticed.
    pub previous_base: Option<u64>,
    /// The records.
    pub chunk: Chunk,
}

/// A group's committed offset.
#[derive(Debug, Clone)]
pub struct OffsetWrite {
    /// Consumer group.
    pub group: String,
    /// Number of the topic.
    pub topic_id: u32,
    /// Partition within the topic.
    pub partition: u32,
    /// Position and note.
    pub committed: Committed,
}

/// What must become durable together: it is all there after a crash, or nothing of it is.
#[derive(Debug, Default)]
pub struct AtomicWrite {
    /// Records.
    pub chunks: Vec<PlacedChunk>,
    /// Committed offsets.
    pub offsets: Vec<OffsetWrite>,
}

/// What bytes are for: where room is short, input is refused first, so that what was taken in can still be worked off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Appends from outside.
    Input,
    /// What transactions make of them.
    Output,
}

/// Keeps a log's bytes. Called by one writer at a time; reads come from many threads.
pub trait Store: Send + Sync + Sized + 'static {
    /// How many bytes of each partition the log may hold in memory; what is older is read back from here.
    const CACHE_BYTES: usize;

    /// What tells this log from another one in its place, for example after its directory was emptied; empty where nothing outlives
    /// the process anyway.
    fn log_id(&self) -> &str {
        ""
    }

    /// Whether there is room for so many more bytes, and some to spare. Asked before anything is placed, so that a disk that runs full
    /// refuses a write instead of breaking it.
    ///
    /// # Errors
    /// [`crate::TransportError::Unavailable`] where there is not.
    fn check_room(&self, _bytes: usize, _purpose: Purpose) -> Result<()> {
        Ok(())
    }

    /// Makes a new or changed topic durable.
    fn put_topic(&self, id: u32, spec: &TopicSpec) -> Result<()>;

    /// Makes the write durable, whole, before it returns.
    fn write(&self, write: &AtomicWrite) -> Result<()>;

    /// Chunks from the one that holds `offset` (or the next) on, in order, about `max_bytes` of them. `earliest` is where the
    /// partition starts; a chunk that is missing between two others, or bytes that changed, are [`crate::TransportError::Damaged`].
    fn read(
        &self,
        partition: PartitionRef<'_>,
        offset: u64,
        earliest: u64,
        max_bytes: usize,
    ) -> Result<Vec<PlacedChunk>>;

    /// Removes the chunks at the partition's start whose records are all older than `before_ms` and lie below `stable_end`.
    /// Returns the new earliest offset; `None` where this store keeps nothing of its own.
    fn trim(&self, partition: PartitionRef<'_>, earliest: u64, before_ms: i64, stable_end: u64) -> Result<Option<u64>>;
}

/// Names a partition to a store; the topic's name is for messages.
#[derive(Debug, Clone, Copy)]
pub struct PartitionRef<'a> {
    /// Number of the topic.
    pub topic_id: u32,
    /// Its name.
    pub topic: &'a str,
    /// Partition within the topic.
    pub partition: u32,
}
