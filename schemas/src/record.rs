//! What is known about a record besides its Rust type: for sinks, registries and documentation.

use crate::avro::DecodeError;

/// A record's schema.
#[derive(Debug)]
pub struct RecordSchema {
    /// Name, snake case.
    pub name: &'static str,
    /// Our schema id: what a frame carries where no registry is configured. 0 for a nested record, which never stands alone.
    pub id: u32,
    /// The topic it is written to; empty for a nested record.
    pub topic: &'static str,
    /// The warehouse table of its revisions, where it has one; `<table>_current` holds the current rows.
    pub table: Option<&'static str>,
    /// The fields that make its key, in order.
    pub key: &'static [&'static str],
    /// Whether a key has one revision only, so that table and current rows are the same.
    pub append_only: bool,
    /// Its fields, in the order in which they are encoded.
    pub fields: &'static [Field],
    /// What it is.
    pub doc: &'static str,
    /// The version that brought it.
    pub since: &'static str,
    /// The schema ids of released versions that have fewer fields, with their Avro schemas. Records written under them read as
    /// this one, with the missing fields not given.
    pub earlier: &'static [(u32, &'static str)],
    /// Its Avro schema.
    pub avro_json: &'static str,
    /// The ClickHouse statements that create its tables and views, in order; each may be run again.
    pub clickhouse_ddl: &'static [&'static str],
}

impl RecordSchema {
    /// A field's position.
    pub fn position(&self, field: &str) -> Option<usize> {
        self.fields.iter().position(|candidate| candidate.name == field)
    }
}

/// A field of a record.
#[derive(Debug)]
pub struct Field {
    /// Name, snake case: the same in Rust, Avro, ClickHouse and the embedded warehouse.
    pub name: &'static str,
    /// Its type.
    pub ty: FieldType,
    /// Whether it may be null.
    pub optional: bool,
    /// Whether it is, or may hold, personal data.
    pub pii: bool,
    /// The unit of its values, where they have one.
    pub unit: Option<&'static str>,
    /// What it means.
    pub doc: &'static str,
    /// The version that brought it.
    pub since: &'static str,
    /// Whether it was appended after the record's first release: older records end before it, and
    /// read as null, or as an empty array.
    pub appended: bool,
}

/// A field's type.
#[derive(Clone, Copy, Debug)]
pub enum FieldType {
    /// A short string of few distinct values.
    Symbol,
    /// A string.
    String,
    /// JSON text.
    Json,
    /// A 128-bit id, as 32 lower-case hexadecimal digits.
    Id,
    /// A boolean.
    Bool,
    /// A 32-bit integer.
    Int,
    /// A 64-bit integer.
    Long,
    /// A 64-bit float.
    Double,
    /// Milliseconds since 1970 UTC.
    Timestamp,
    /// A decimal with six digits after the point.
    Decimal,
    /// Bytes.
    Bytes,
    /// Any number of strings.
    Strings,
    /// Any number of nested records.
    Records(&'static RecordSchema),
}

/// What every generated type offers, for code that writes any of them.
pub trait Record {
    /// The record's schema.
    const SCHEMA: &'static RecordSchema;

    /// Appends the Avro body.
    fn encode(&self, out: &mut Vec<u8>);
}

/// A generated type that can be read back.
pub trait DecodeRecord<'a>: Record + Sized {
    /// Reads an Avro body, borrowing from it.
    fn decode(body: &'a [u8]) -> Result<Self, DecodeError>;
}
