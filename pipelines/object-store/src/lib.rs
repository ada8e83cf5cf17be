//! Snapshots on object storage: [`ObjectSnapshots`] keeps them in a bucket that is reached by the S3 API.
//!
//! What it needs of the store is one thing beyond reading and writing: a put with `If-None-Match: *` lets exactly one of several
//! writers win. That is what fences a worker that was frozen and comes back. A store that ignores the condition must not be used;
//! [`ObjectSnapshots::check`] finds out.

mod error;
mod settings;
mod store;

pub use settings::{ObjectSettings, SettingsError};
pub use store::ObjectSnapshots;
