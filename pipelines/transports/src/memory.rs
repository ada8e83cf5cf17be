//! The in-memory log: what simulation, benchmarks and fast tests run on. It forgets what was not synced when told to crash, and
//! shows on request every fault that a real broker shows ([`crate::Faults`]). It keeps everything until [`MemoryLog::trim`] drops it.

use crate::local::store::{AtomicWrite, Image, PartitionRef, PlacedChunk, Store};
use crate::local::{LocalLog, LocalOptions, WriteMode};
use crate::{Result, TopicSpec, TransportError};

/// Keeps nothing: the log itself holds every record.
#[derive(Debug, Clone, Copy, Default)]
pub struct MemoryStore;

impl Store for MemoryStore {
    const CACHE_BYTES: usize = usize::MAX;

    fn put_topic(&self, _id: u32, _spec: &TopicSpec) -> Result<()> {
        Ok(())
    }

    fn write(&self, _write: &AtomicWrite) -> Result<()> {
        Ok(())
    }

    fn read(&self, partition: PartitionRef<'_>, offset: u64, _earliest: u64, _max: usize) -> Result<Vec<PlacedChunk>> {
        let (topic, partition) = (partition.topic, partition.partition);
        Err(TransportError::Damaged(format!("{topic}[{partition}]: offset {offset} is not in memory")))
    }

    fn trim(
        &self,
        _partition: PartitionRef<'_>,
        _earliest: u64,
        _before_ms: i64,
        _stable_end: u64,
    ) -> Result<Option<u64>> {
        Ok(None)
    }
}

/// When the in-memory log counts an acknowledged append as synced. Commits always are when they return.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MemorySync {
    /// At once, in the call.
    #[default]
    Immediate,
    /// When [`MemoryLog::sync`] or a commit comes; a crash before loses it, unacknowledged.
    OnRequest,
}

/// A log in memory. Clones are handles on the same log.
pub type MemoryLog = LocalLog<MemoryStore>;

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryLog {
    /// An empty log with default options that syncs at once.
    pub fn new() -> Self {
        Self::with_options(LocalOptions::default(), MemorySync::Immediate)
    }

    /// An empty log.
    pub fn with_options(options: LocalOptions, sync: MemorySync) -> Self {
        let mode = match sync {
            MemorySync::Immediate => WriteMode::Inline,
            MemorySync::OnRequest => WriteMode::OnRequest,
        };
        Self::open_inline(MemoryStore, Image::default(), options, mode)
    }

    /// Syncs what waits: it becomes readable, then its callbacks are called.
    pub fn sync(&self) {
        self.handle.drain();
    }

    /// The process dies: this handle and all that came from it answer [`TransportError::Unavailable`] from now on, callbacks that
    /// waited are never called, memberships and open transactions are gone. The returned log holds what was synced; time-outs,
    /// options and the plan of faults go on.
    pub fn crash(&self) -> Self {
        self.crash_inline(MemoryStore)
    }

    /// Drops records below `offset` of one partition, as far as whole segments allow, so that a long run (a benchmark, a
    /// simulation) needs memory only for what is still to be read. The freed memory serves later appends.
    pub fn drop_below(&self, topic: &str, partition: u32, offset: u64) -> Result<()> {
        let partition = self.handle.partition(topic, partition)?;
        partition.forget_segments_below(offset);
        Ok(())
    }
}
