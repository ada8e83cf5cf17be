//! One dead letter.

use millstream_schemas::{Rejected, SchemaIds, frame};
use millstream_transports::RecordRef;
use serde::Serialize;

/// Where a refused record stands in the log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Origin {
    /// Topic, without the namespace's prefix.
    pub topic: String,
    /// Partition.
    pub partition: u32,
    /// Offset.
    pub offset: u64,
}

/// Where a refused row stands in an import's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Data set.
    pub data_set: String,
    /// File.
    pub file: String,
    /// First line, from 1.
    pub line: i64,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Letter {
    /// Its id: where the record stood.
    pub id: String,
    /// When the record was received, milliseconds since the epoch.
    pub at_ms: i64,
    /// The shop; empty where unknown.
    pub site: String,
    /// Who refused it: ingest, profile, deliver or import.
    pub stage: String,
    /// Why, machine-readable.
    pub reason: String,
    /// The field at fault.
    pub field: Option<String>,
    /// What was wrong and what to do.
    pub detail: String,
    /// Where the record stands in the log.
    pub origin: Option<Origin>,
    /// Where the row stands in an import's file.
    pub row: Option<Row>,
    /// The event's own id, where it could be read.
    pub event_id: Option<String>,
    /// Bytes that were refused.
    pub payload_bytes: usize,
    /// Those bytes; empty in a listing.
    #[serde(skip)]
    pub payload: Vec<u8>,
}

impl Letter {
    /// The letter in a record of `events.rejected`; `None` where it is none.
    pub(crate) fn of(record: RecordRef<'_>, ids: &SchemaIds, with_payload: bool) -> Option<Self> {
        let (wire_id, body) = frame::split(record.value).ok()?;
        if ids.from_wire(wire_id) != Rejected::ID {
            return None;
        }
        let letter = Rejected::decode(body).ok()?;
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let origin = || {
            Some(Origin {
                topic: letter.topic?.to_owned(),
                partition: u32::try_from(letter.partition?).ok()?,
                offset: u64::try_from(letter.offset?).ok()?,
            })
        };
        let row = || {
            let (data_set, file) = (letter.data_set?.to_owned(), letter.file?.to_owned());
            Some(Row { data_set, file, line: letter.line? })
        };
        Some(Self {
            id: letter.rejection_id.to_owned(),
            at_ms: letter.event_time,
            site: letter.site.to_owned(),
            stage: letter.stage.to_owned(),
            reason: letter.reason.to_owned(),
            field: owned(letter.field),
            detail: letter.detail.to_owned(),
            origin: origin(),
            row: row(),
            event_id: owned(letter.event_id),
            payload_bytes: letter.payload.len(),
            payload: if with_payload { letter.payload.to_vec() } else { Vec::new() },
        })
    }
}
