//! What an import can be told besides its mapping, and what it tells of itself.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use millstream_schemas::SchemaIds;

/// Names of the topics an import writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportTopics {
    /// Collected events.
    pub collected: String,
    /// Rejected rows.
    pub rejected: String,
    /// Progress of imports; must never expire (compacted or kept forever).
    pub imports: String,
}

impl Default for ImportTopics {
    fn default() -> Self {
        Self {
            collected: "events.collected".to_owned(),
            rejected: "events.rejected".to_owned(),
            imports: "imports".to_owned(),
        }
    }
}

/// Limits and names of one import.
#[derive(Clone)]
pub struct ImportOptions {
    /// The shop the events belong to; wins over the mapping's `site`.
    pub site: Option<String>,
    /// The data set's name; wins over the mapping's `data_set`.
    pub data_set: Option<String>,
    /// Where to write.
    pub topics: ImportTopics,
    /// The registry's ids for our schemas.
    pub schema_ids: SchemaIds,
    /// Events (and rejected rows) of one transaction at most.
    pub chunk_events: usize,
    /// Bytes of one transaction, about.
    pub chunk_bytes: usize,
    /// Bytes that the sorted events may take in memory.
    pub memory_limit_bytes: usize,
    /// Bytes of one row; a longer one is rejected (JSON lines) or ends the import (CSV, where it is a quote that was never closed).
    pub record_limit_bytes: usize,
    /// Bytes of one event; a larger one (a group of very many rows) is rejected.
    pub event_limit_bytes: usize,
    /// The present, milliseconds since the epoch. It stamps records of the `imports` and rejected topics, so that retention by age
    /// starts when they were written; no value depends on it.
    pub now_ms: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            site: None,
            data_set: None,
            topics: ImportTopics::default(),
            schema_ids: SchemaIds::identity(),
            chunk_events: 2_000,
            chunk_bytes: 8 << 20,
            memory_limit_bytes: 2 << 30,
            record_limit_bytes: 900_000,
            event_limit_bytes: 900_000,
            now_ms: Arc::new(|| {
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }),
        }
    }
}

/// What an import is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Reading and mapping files; counted in bytes as they lie on disk.
    Reading,
    /// Appending events; counted in events.
    Writing,
}

/// How far it is, for a progress bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Bytes read or events appended.
    pub done: u64,
    /// Of how many.
    pub total: u64,
    /// Rows rejected so far.
    pub rejected: u64,
}
