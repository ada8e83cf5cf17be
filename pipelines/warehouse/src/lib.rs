//! The embedded warehouse: Parquet files and SQL over them.
//!
//! Same tables, same columns and same `<table>_current` views as in ClickHouse, so that the same questions run on both.
//!
//! - [`ParquetSink`] takes exact batches: `<dir>/<table>/<partition>-<first>-<last>.parquet`. A file's name is the batch, so that
//!   a repetition finds it; it appears whole (written aside, synced, renamed) or not at all.
//! - [`compact`] merges small files while nothing else is to be done. A merged file's name spans those it replaces; readers leave
//!   out files that lie inside a wider one, so that a crash at any point shows every row once.
//! - [`Warehouse::query`] runs SQL (DataFusion) over what is there at that moment.
//! - [`open_parquet`] reads any Parquet file as text, for imports.
//!
//! Files are compressed with Zstandard, level 1: the codec is part of DataFusion's Parquet support anyway, so that it costs no build
//! of its own, and being C it is fast in an unoptimised build too.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod columns;
pub mod compact;
mod error;
mod exact;
mod files;
mod rows;
mod session;
mod sink;
mod tables;
mod warehouse;
mod write;

pub use error::WarehouseError;
pub use exact::{Cells, ExactRows, cells_of};
pub use rows::{ParquetRows, open_parquet};
pub use sink::ParquetSink;
pub use warehouse::Warehouse;
