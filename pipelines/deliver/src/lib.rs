//! Committed output topics to tables: exact batches, intent before insert.
//!
//! A [`Deliverer`] is a plain consumer of the topics whose records have a table. It knows nothing of any warehouse; a [`Sink`]
//! does: [`clickhouse`] here, Parquet in the crate `warehouse`. What it promises: every committed record is in the sink once,
//! whatever crashes, and where it cannot keep that promise it stops and says so.
//!
//! # How
//!
//! 1. A *batch* ([`BatchId`]) is an exact range of one partition, from the first to the last delivered record. Its rows go to one
//!    table.
//! 2. Before the insert, its [`Intent`] (range, number of rows, content hash) is committed as metadata beside the unchanged
//!    offset; records that could not be read are dead-lettered in the same transaction.
//! 3. The insert carries a token that names exactly that batch, so that the sink recognises a repetition.
//! 4. After it, the offset behind the batch is committed.
//!
//! Whoever owns the partition after a crash reads the intent, rebuilds the batch to the same last offset and compares: equal, it
//! is inserted again under the same token; different, nothing is inserted and the deliverer stops with
//! [`DeliverError::Mismatch`].
//!
//! While the sink is down, partitions are paused: the log keeps what comes, as lag, and memory stays bounded. Trouble of one table
//! (too many parts, a column of another type) keeps no other waiting.
//!
//! Every offset is committed with the identity of its topic: a topic that is made anew under the same name is read from its
//! beginning, and its batches have other names.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod batch;
mod cause;
pub mod clickhouse;
mod commit;
pub mod config;
mod dead_letter;
mod deliverer;
mod error;
mod flush;
mod identity;
mod inserting;
mod intake;
mod intent;
mod lane;
mod membership;
pub mod metrics;
pub mod query_format;
mod reading;
mod routes;
pub mod sink;
mod stats;
mod troubles;
pub mod views;

pub use batch::BatchId;
pub use cause::Cause;
pub use clickhouse::{ClickHouse, ClickHouseConfig, ClickHouseError, ClickHouseSink};
pub use config::{BatchLimits, DeliverConfig};
pub use deliverer::{Deliverer, Step};
pub use error::DeliverError;
pub use intent::{Delivered, Intent, Note};
pub use metrics::DeliverMetrics;
pub use query_format::QueryFormat;
pub use reading::{Fate, Reject, read};
pub use routes::{Route, delivered_records, routes};
pub use sink::{Holding, Row, Sink, SinkError};
pub use stats::{DeliverStats, TableStats};
pub use troubles::Trouble;
