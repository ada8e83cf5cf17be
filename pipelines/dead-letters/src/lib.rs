//! Dead letters: what was refused, why, and once more through ingest when the cause is mended.
//!
//! A letter keeps the bytes that were refused and says where they stood. [`list`] counts and shows, [`find`] shows one, [`replay`]
//! appends the events of letters to `events.collected` again.
//!
//! What makes a replay safe: the record is appended as it was received, with its receive time, so that it is decided as the first time
//! but for what was mended; an event that was accepted meanwhile is a duplicate by its id and is dropped; and what could not be
//! recognised, or would be older than operators keep state for, is not replayed, and it is said why ([`Refusal`]).

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod letter;
mod list;
mod replay;

pub use letter::{Letter, Origin, Row};
pub use list::{Count, Filter, Listing, find, list};
pub use replay::{Plan, Refusal, Replayed, plan, replay};

use millstream_schemas::SchemaIds;
use millstream_transports::{Transport, TransportError};

/// Where dead letters are.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The log.
    pub transport: &'a dyn Transport,
    /// What precedes every topic's name.
    pub namespace: &'a str,
    /// Schema ids on the wire.
    pub schema_ids: &'a SchemaIds,
}

impl Place<'_> {
    fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.namespace)
    }
}

/// Why dead letters could not be read or replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeadLetterError {
    /// The log.
    #[error("the log: {0}")]
    Log(#[from] TransportError),
    /// A transaction did not end well.
    #[error(
        "{appended} events were appended, then a transaction ended so: {why}; run it again: what is there is a duplicate"
    )]
    NotAppended {
        /// Events appended before.
        appended: u64,
        /// In the log's words.
        why: String,
    },
}
