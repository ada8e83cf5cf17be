//! History from files by a small mapping.
//!
//! An import reads CSV, JSON lines or Parquet ([`read`]), turns rows into events as a mapping file says ([`Mapping`]), sorts them by
//! time and appends them to `events.collected` ([`run()`]), so that history takes the same way as live traffic. Bad rows go to
//! `events.rejected` with file, line, reason and their original bytes.
//!
//! What holds:
//!
//! * Nothing is written before every file has been read and the mapping has proved to fit them.
//! * Event ids come from the data set, the file and the row (or the group's key), never from content: two equal rows are two events.
//! * Each transaction holds the events, the rejected rows and how far the import has come. A runner that was killed goes on exactly
//!   there; a second runner of the same data set fences the first.
//! * Money is exact: decimals in, minor units out, and the lines of an order add up to its amount.

mod build;
mod error;
mod fingerprint;
mod mapping;
mod options;
mod prepare;
mod progress;
pub mod read;
mod records;
mod run;

pub use build::{ImportedEvent, RejectedRow};
pub use error::{ImportError, MappingError};
pub use mapping::Mapping;
pub use options::{ImportOptions, ImportTopics, Phase, Progress};
pub use prepare::{Prepared, prepare};
pub use progress::{SavedProgress, saved_progress};
pub use run::{Summary, import, run};
