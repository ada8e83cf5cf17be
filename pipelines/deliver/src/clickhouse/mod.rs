//! ClickHouse over HTTP: client, encoding, migrations and the sink.
//!
//! History goes into `<table>`; a materialised view copies it into `<table>_latest` (ReplacingMergeTree), which
//! `<table>_current` reads with FINAL, so that it is right before merges too. Inserts are synchronous and carry a token; both
//! tables recognise a repetition. Names and types of the columns travel with the rows, and the server compares them with the table's.

mod client;
mod config;
mod drift;
mod error;
mod migrate;
mod row_binary;
mod sink;
mod tls;
mod types;

pub use client::ClickHouse;
pub use config::ClickHouseConfig;
pub use error::ClickHouseError;
pub use migrate::{MIGRATIONS, Migrated, Migration};
pub use row_binary::write_field;
pub use sink::ClickHouseSink;
