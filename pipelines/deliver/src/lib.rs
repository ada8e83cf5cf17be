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
//! While the sink is down, partitions are paused: the log keeps what comes, as lag, and memory stays bounded.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod batch;
pub mod clickhouse;
mod commit;
pub mod config;
mod dead_letter;
mod deliverer;
mod error;
mod flush;
mod intake;
mod intent;
mod lane;
pub mod query_format;
mod reading;
mod routes;
pub mod sink;
mod stats;
pub mod views;

pub use batch::BatchId;
pub use clickhouse::{ClickHouse, ClickHouseConfig, ClickHouseError, ClickHouseSink};
pub use config::{BatchLimits, DeliverConfig};
pub use deliverer::{Deliverer, Step};
pub use error::DeliverError;
pub use intent::Intent;
pub use query_format::QueryFormat;
pub use routes::{Route, delivered_records};
pub use sink::{Holding, Row, Sink, SinkError};
pub use stats::{DeliverStats, TableStats};
