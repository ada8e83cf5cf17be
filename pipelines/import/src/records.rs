//! What an import appends.

use millstream_schemas::{Collected, ImportProgress, Rejected, Tick};

use crate::build::{ImportedEvent, RejectedRow};
use crate::options::ImportOptions;
use crate::prepare::Prepared;

/// What `origin` says on every record of an import.
pub(crate) const ORIGIN: &str = "import";
/// What `stage` says on a rejected row.
const STAGE: &str = "import";

/// A line number as records carry it.
fn line(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Replaces `out` by the frame of an event. It is received when it happened: an import's times are trusted.
pub(crate) fn collected(prepared: &Prepared, event: &ImportedEvent, options: &ImportOptions, out: &mut Vec<u8>) {
    out.clear();
    let record = Collected {
        site: &prepared.site,
        origin: ORIGIN,
        received_at: event.time_ms,
        sent_at: None,
        data_set: Some(&prepared.data_set),
        file: prepared.files.get(event.file as usize).map(String::as_str),
        line: Some(line(event.line)),
        user_agent: None,
        ip: None,
        global_privacy_control: false,
        payload: &event.payload,
    };
    record.encode_framed(options.schema_ids.to_wire(Collected::ID), out);
}

/// Replaces `out` by the frame of a tick.
pub(crate) fn tick(time_ms: i64, options: &ImportOptions, out: &mut Vec<u8>) {
    out.clear();
    Tick { origin: ORIGIN, time: time_ms }.encode_framed(options.schema_ids.to_wire(Tick::ID), out);
}

/// The id of a rejected row: the same whenever the same import comes to it.
pub(crate) fn rejection_id(prepared: &Prepared, row: &RejectedRow) -> String {
    let file = prepared.files.get(row.file as usize).map_or("", String::as_str);
    format!("{}:{file}:{}", prepared.data_set, row.line)
}

/// Replaces `out` by the frame of a rejected row.
pub(crate) fn rejected(prepared: &Prepared, row: &RejectedRow, options: &ImportOptions, out: &mut Vec<u8>) {
    out.clear();
    let record = Rejected {
        rejection_id: &rejection_id(prepared, row),
        revision: line(row.line),
        retracted: false,
        event_time: row.time_ms.unwrap_or(0),
        site: &prepared.site,
        stage: STAGE,
        reason: &row.reason,
        field: row.field.as_deref(),
        detail: &row.detail,
        topic: None,
        partition: None,
        offset: None,
        data_set: Some(&prepared.data_set),
        file: prepared.files.get(row.file as usize).map(String::as_str),
        line: Some(line(row.line)),
        event_id: None,
        payload: &row.raw,
    };
    record.encode_framed(options.schema_ids.to_wire(Rejected::ID), out);
}

/// Replaces `out` by the frame of a progress record.
pub(crate) fn progress(record: &ImportProgress<'_>, options: &ImportOptions, out: &mut Vec<u8>) {
    out.clear();
    record.encode_framed(options.schema_ids.to_wire(ImportProgress::ID), out);
}
