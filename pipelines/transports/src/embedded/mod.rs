//! The embedded log: durable, in one process, in one directory. What `millstream demo` and a laptop run on.
//!
//! * Acknowledged means synced: whatever waits is written as one atomic batch of the store and synced once (group commit), and
//!   only then readable and acknowledged. A transaction's outputs and offsets are in one batch.
//! * After a crash the end of the journal that no acknowledgement was given for is cut. Any other damage is
//!   [`TransportError::Damaged`](crate::TransportError::Damaged), when the log opens or when the damaged part is read: chunks
//!   carry checksums and name the one before, writes are numbered without a gap, and a witness file knows the last synced number.
//! * One process at a time: the directory is locked.
//! * A disk that runs full refuses writes before it breaks them: below [`EmbeddedOptions::min_free_bytes`] appends are refused, below
//!   half of it transactions too, both with [`TransportError::Unavailable`](crate::TransportError::Unavailable), nothing of them being
//!   written; when there is room again, they go on by themselves.
//! * A write that fails all the same ends the log, for nobody knows what of it is on disk: every call answers
//!   [`TransportError::Unavailable`](crate::TransportError::Unavailable) from then on, and the process should open it anew.
//! * [`Retention::TimeMs`](crate::Retention::TimeMs) is applied by [`EmbeddedLog::trim`], when its owner calls it;
//!   [`Retention::Compact`](crate::Retention::Compact) keeps everything, as `Forever` does.
//!
//! Weak: a power loss that persists pages of the unsynced tail out of order can leave a tail whose checksum fails although its
//! end is there. It is reported as damage, not cut: better a stop than a guess.

mod directory;
mod format;
mod identity;
mod space;
mod store;
mod witness;

use std::path::Path;

use crate::Result;
use crate::local::{LocalLog, LocalOptions};
pub use store::FjallStore;

/// When writes are synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EmbeddedSync {
    /// Before anything is acknowledged.
    #[default]
    EveryCommit,
    /// Never: the operating system writes when it likes. A killed process loses nothing, a power loss can. For tests.
    Never,
}

/// Options of an embedded log.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// When writes are synced.
    pub sync: EmbeddedSync,
    /// Free bytes of the directory's file system below which appends are refused. The store needs room of its own, for what it
    /// rewrites in the background, so this should be well above 64 MiB.
    pub min_free_bytes: u64,
    /// Limits and time-outs.
    pub local: LocalOptions,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self { sync: EmbeddedSync::default(), min_free_bytes: 256 << 20, local: LocalOptions::default() }
    }
}

/// A durable log in a directory. Clones are handles on the same log; the directory is unlocked when the last handle, member,
/// appender and reader is gone.
pub type EmbeddedLog = LocalLog<FjallStore>;

impl EmbeddedLog {
    /// Opens the log in `directory`, or begins one there.
    ///
    /// Errors: `Other` where another process holds the directory or the machine refuses a file, `Damaged` where the bytes are not
    /// what was acknowledged.
    pub fn open(directory: impl AsRef<Path>, options: EmbeddedOptions) -> Result<Self> {
        let (store, image) = FjallStore::open(directory.as_ref(), options.sync, options.min_free_bytes)?;
        Self::open_threaded(store, image, options.local)
    }
}
