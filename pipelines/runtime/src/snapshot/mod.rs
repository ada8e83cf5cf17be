//! Snapshots: a task's state as of a committed offset, so that recovery replays what came after it instead of everything.
//!
//! Recovery to the committed offset *c*: the newest snapshot at *s ≤ c*, then the records of *[s, c)* with outputs suppressed, for they
//! are downstream already. A snapshot may therefore lag, and is written in the background, in pieces, while records are processed.
//!
//! ```text
//! <namespace><stage>/<partition>/owner-<generation>              who may write; made by exactly one process
//!                                data-<generation>-<number>-<n>  sorted entries, compressed, written once
//!                                manifest-<number>.json          a snapshot: offset, versions, files with checksums
//! ```
//!
//! A snapshot names files that it shares with older ones: only what changed is written. Now and then files are merged.

pub mod background;
pub mod blocks;
pub mod entries;
pub mod file;
pub mod folder;
pub mod manifest;
pub mod merge;
pub mod names;
pub mod owner;
pub mod publisher;
pub mod recovery;
mod retention;
pub mod state;
pub mod store;
pub mod testing;

pub use entries::Entries;
pub use folder::SnapshotFolder;
pub use manifest::Manifest;
pub use names::TaskName;
pub use recovery::RecoveryError;
pub use state::{RestoreError, SnapshotState};
pub use store::{MemorySnapshots, SnapshotStore, StoreError};

use std::fmt;
use std::sync::Arc;

/// When snapshots are taken and where they go.
#[derive(Clone)]
pub struct SnapshotSettings {
    /// Where they are kept.
    pub store: Arc<dyn SnapshotStore>,
    /// Least time between two snapshots of a task, milliseconds.
    pub interval_ms: u64,
    /// The last snapshot of each day is kept for so many days.
    pub keep_days: u32,
    /// Written by a thread of its own. Without, the worker waits for the store: for simulation.
    pub in_background: bool,
    /// Whether a worker that is closed takes a last snapshot of each task, so that the next start replays nothing.
    pub at_close: bool,
}

impl SnapshotSettings {
    /// In the background every 10 seconds and when the worker is closed; a day's last one is kept for 30 days.
    pub fn new(store: Arc<dyn SnapshotStore>) -> Self {
        Self { store, interval_ms: 10_000, keep_days: 30, in_background: true, at_close: true }
    }
}

impl fmt::Debug for SnapshotSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotSettings")
            .field("interval_ms", &self.interval_ms)
            .field("keep_days", &self.keep_days)
            .finish_non_exhaustive()
    }
}
