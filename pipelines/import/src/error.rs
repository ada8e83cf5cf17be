//! Why an import could not go on.

use millstream_transports::TransportError;

/// A mistake in a mapping file, at its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct MappingError {
    /// The mapping file, as it was named.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Why an import could not start or go on. Bad rows are no errors: they are rejected and counted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The mapping is wrong, or does not fit the files.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// A file cannot be read on from this line.
    #[error("{file}{place}: {message}", place = place(*line))]
    File {
        /// The file.
        file: String,
        /// The first line that could not be read; 0 where the file could not be opened.
        line: u64,
        /// What is wrong and what to do.
        message: String,
    },
    /// The sorted events do not fit the memory allowed.
    #[error(
        "{file}, line {line}: the events read so far need more than memory_limit_bytes = {limit_bytes}; raise the limit, or import \
         the files in spans of time, oldest first, each under a data set name of its own"
    )]
    MemoryLimit {
        /// The file.
        file: String,
        /// The line at which the limit was reached.
        line: u64,
        /// The limit.
        limit_bytes: usize,
    },
    /// Names or options that cannot work.
    #[error("{0}")]
    Options(String),
    /// The data set was begun with another mapping or other files.
    #[error(
        "data set {data_set} was begun with another mapping or other files ({saved} then, {now} now; {events_done} events are in): \
         resume with the originals, or import under another data set name into a new namespace"
    )]
    OtherImport {
        /// The data set.
        data_set: String,
        /// The fingerprint in the log.
        saved: String,
        /// The fingerprint of what was given now.
        now: String,
        /// Events already appended.
        events_done: u64,
    },
    /// Another runner of the same data set took over.
    #[error("another import of data set {data_set} has taken over: {detail}")]
    Fenced {
        /// The data set.
        data_set: String,
        /// The transport's own words.
        detail: String,
    },
    /// Transactions failed again and again.
    #[error(
        "data set {data_set}: {attempts} transactions in a row did not commit; the last said: {detail}. Nothing is lost: run it again"
    )]
    NotCommitting {
        /// The data set.
        data_set: String,
        /// How many were tried.
        attempts: u32,
        /// The transport's own words.
        detail: String,
    },
    /// A progress record that cannot be read.
    #[error("{topic}[{partition}] at offset {offset}: not a progress record: {detail}")]
    BadProgress {
        /// Topic.
        topic: String,
        /// Partition.
        partition: u32,
        /// Offset.
        offset: u64,
        /// What is wrong with it.
        detail: String,
    },
    /// The log refused.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// Where in its file; nothing for a file that could not be opened.
fn place(line: u64) -> String {
    if line == 0 { String::new() } else { format!(", line {line}") }
}
