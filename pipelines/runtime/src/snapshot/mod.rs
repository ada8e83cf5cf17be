//! Snapshots: a task's state as of a committed offset, so that recovery replays what came after it instead of everything.
//!
//! Recovery to the committed offset *c*: the newest snapshot at *s ≤ c*, then the records of *[s, c)* with outputs suppressed, for they
//! are downstream already. A snapshot may therefore lag, and is written in the background, in pieces, while records are processed.

pub mod entries;
pub mod file;
pub mod state;

pub use entries::Entries;
pub use state::{RestoreError, SnapshotState};
