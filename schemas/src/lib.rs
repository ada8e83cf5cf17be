//! Contracts: one definition a record, from which Rust types, Avro, ClickHouse DDL and the reference pages are generated.
//!
//! - [`generated`] has a borrowed type for every record, with `encode` and `decode`; [`RECORDS`], [`by_id`], [`by_name`] and
//!   [`visit()`] reach the same records dynamically.
//! - [`input`] parses what comes in.
//! - [`frame`] is the wire format around them, [`SchemaIds`] a registry's ids for them, [`topics`] the list of topics.
//! - [`Id`], [`Decimal`], [`currency`], [`purposes`] and [`revision`] are the values they are made of.
//!
//! No I/O. How to change a record: `SCHEMAS.md`.

pub mod avro;
pub mod closing;
pub mod currency;
pub mod decimal;
pub mod frame;
#[rustfmt::skip]
pub mod generated;
pub mod id;
pub mod input;
pub mod input_key;
pub mod purposes;
pub mod record;
pub mod revision;
pub mod schema_ids;
mod text;
pub mod topics;
pub mod visit;

pub use avro::{DecodeError, DecodeErrorKind};
pub use decimal::{Decimal, DecimalError};
pub use generated::*;
pub use id::{Id, idempotency_key};
pub use record::{DecodeRecord, Field, FieldType, Record, RecordSchema};
pub use schema_ids::SchemaIds;
pub use visit::{Value, visit};

/// The record with our schema id `id`, today's or an earlier version's. A nested record has none and is not found.
pub fn by_id(id: u32) -> Option<&'static RecordSchema> {
    let is = |record: &RecordSchema| record.id == id || record.earlier.iter().any(|(earlier, _)| *earlier == id);
    RECORDS.iter().copied().find(|record| !record.topic.is_empty() && is(record))
}

/// The Avro schema with our schema id `id`: what a foreign reader needs for a frame that carries it.
pub fn avro_by_id(id: u32) -> Option<&'static str> {
    let record = by_id(id)?;
    record.earlier.iter().find(|(earlier, _)| *earlier == id).map_or(Some(record.avro_json), |(_, avro)| Some(avro))
}

/// The record called `name`.
pub fn by_name(name: &str) -> Option<&'static RecordSchema> {
    RECORDS.iter().copied().find(|record| record.name == name)
}
