//! Recorded input run again, for the two promises.
//!
//! * *Replay* ([`task`]): one task over its own recorded input, from a snapshot or from the beginning, writes the same bytes: what each
//!   transaction's ledger record says was written is compared with what the stage gives now.
//! * *Convergence* ([`copy`], [`views`]): the input of one namespace is copied into another, where everything is processed anew; both
//!   must end in the same current views. Then the other one can take over ([`closing`]). Where the log has lost its beginning, the
//!   warehouse's table of accepted events stands in for it ([`restore`]).

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

pub mod closing;
mod control;
pub mod copy;
pub mod imports;
mod progress;
mod reading;
pub mod reopen;
pub mod restore;
pub mod stragglers;
pub mod task;
pub mod views;

use millstream_runtime::snapshot::recovery::Unusable;
use millstream_runtime::snapshot::{RecoveryError, StoreError};
use millstream_transports::TransportError;

/// Why something could not be replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The log failed.
    #[error("the log: {0}")]
    Log(#[from] TransportError),
    /// The snapshot store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A snapshot cannot be used.
    #[error("snapshot {name}: {why}")]
    Snapshot {
        /// Its manifest's name.
        name: String,
        /// Why.
        why: Unusable,
    },
    /// The state cannot be had.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// There is no such snapshot, or none at all and the log's beginning is gone.
    #[error("{task}: no such snapshot is kept that fits the log, whose input begins at offset {earliest}")]
    NoStart {
        /// The task.
        task: String,
        /// The earliest offset left.
        earliest: u64,
    },
    /// A snapshot of another logic.
    #[error(
        "snapshot {name} was made by logic version {theirs}, this program has {ours}: replay it with the program of that time"
    )]
    OtherLogic {
        /// Its manifest's name.
        name: String,
        /// Its logic version.
        theirs: u32,
        /// This program's.
        ours: u32,
    },
    /// The stage stopped.
    #[error("{task}, offset {offset}: {why}")]
    Blocked {
        /// The task.
        task: String,
        /// Where.
        offset: u64,
        /// In the stage's words.
        why: String,
    },
    /// The namespace to copy into is in use.
    #[error(
        "{topic}[{partition}], offset {offset}: not a copy; a namespace that was used by itself cannot be rebuilt into: choose another name"
    )]
    NotACopy {
        /// Topic.
        topic: String,
        /// Partition.
        partition: u32,
        /// Offset.
        offset: u64,
    },
    /// The log has lost its beginning: a copy would be a silently emptier namespace.
    #[error(
        "{topic}[{partition}] begins at offset {earliest}; what came before is gone from the log, and a copy would lack it; where the warehouse still has all \
         accepted events, `millstream replay rebuild --from-warehouse` begins with those"
    )]
    Truncated {
        /// Topic.
        topic: String,
        /// Partition.
        partition: u32,
        /// The earliest offset left.
        earliest: u64,
    },
    /// The warehouse failed, or has rows that cannot be.
    #[error("the warehouse: {0}")]
    Table(#[from] restore::TableError),
    /// An import would be cut in two.
    #[error("imports have not ended: {}; let them end, then try again", data_sets.join(", "))]
    Importing {
        /// Their data sets.
        data_sets: Vec<String>,
    },
    /// Another namespace has taken over.
    #[error(
        "namespace {namespace:?} was handed over to {successor:?} already; `millstream replay hand-over --back` takes that back"
    )]
    HandedOver {
        /// The namespace.
        namespace: String,
        /// The one that has taken over.
        successor: String,
    },
    /// A transaction did not commit.
    #[error("copying to {topic}: {why}; the same command goes on from there")]
    NotCommitted {
        /// Where to.
        topic: String,
        /// Why.
        why: String,
    },
    /// A record of the log cannot be read.
    #[error("{topic}[{partition}], offset {offset}: {detail}")]
    Unreadable {
        /// Topic.
        topic: String,
        /// Partition.
        partition: u32,
        /// Offset.
        offset: u64,
        /// What is wrong.
        detail: String,
    },
}
