//! Rows to events: rules choose, fields are written, groups are gathered, money is summed exactly.

mod fields;
mod group;
mod json;
mod money;
mod rows;

use millstream_schemas::Id;

pub(crate) use rows::Builder;

/// An event, ready to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedEvent {
    /// Hash of the event's id.
    pub id: Id,
    /// Event time, milliseconds since the epoch.
    pub time_ms: i64,
    /// Which file, in the order given.
    pub file: u32,
    /// The first line it was made of, from 1.
    pub line: u64,
    /// The event's JSON.
    pub payload: Box<[u8]>,
    /// The key by which it is partitioned.
    pub key: Box<[u8]>,
}

/// A row that is no event, with why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedRow {
    /// Which file, in the order given.
    pub file: u32,
    /// The line it begins on, from 1.
    pub line: u64,
    /// One of the catalogue's reasons; `mapping_rule` where a rule of the mapping rejects such rows.
    pub reason: String,
    /// The event field at fault, where it is one.
    pub field: Option<String>,
    /// What was wrong and what to do; for `mapping_rule` the mapping's own words.
    pub detail: String,
    /// The row's time, where it could be read.
    pub time_ms: Option<i64>,
    /// The row as it stands in the file, without its line end.
    pub raw: Box<[u8]>,
}

/// Why a row cannot be (part of) an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reject {
    pub(crate) reason: String,
    pub(crate) field: Option<String>,
    pub(crate) detail: String,
}

impl Reject {
    fn new(reason: &str, field: Option<&str>, detail: impl Into<String>) -> Self {
        Self { reason: reason.to_owned(), field: field.map(str::to_owned), detail: detail.into() }
    }

    fn value(bad: crate::mapping::BadValue, field: &str) -> Self {
        Self::new(bad.reason, Some(field), bad.detail)
    }
}

/// The id of an event that is one row.
fn row_id(data_set: &str, file: &str, line: u64) -> Id {
    Id::of(&[b"row", data_set.as_bytes(), file.as_bytes(), &line.to_be_bytes()])
}

/// The id of an event that is a group of rows.
fn group_id(data_set: &str, event: &str, key: &str) -> Id {
    Id::of(&[b"group", data_set.as_bytes(), event.as_bytes(), key.as_bytes()])
}

#[cfg(test)]
mod tests;
