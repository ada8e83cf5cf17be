//! Dead letters: what is wrong with a record, where it came from, and its bytes.

use millstream_runtime::Outputs;
use millstream_schemas::input::{InputError, Reason, parse_envelope};
use millstream_schemas::{Collected, Rejected};
use millstream_transports::RecordRef;

use crate::factory::{OUT_REJECTED, Shared};

/// Writes a record to `events.rejected`. `collected` is what its frame held, where it could be read: the bytes kept are then the
/// event's own, else the whole record's.
pub fn reject(
    shared: &Shared,
    record: RecordRef<'_>,
    collected: Option<&Collected<'_>>,
    error: &InputError,
    out: &mut Outputs,
) {
    let offset = i64::try_from(record.offset).unwrap_or(i64::MAX);
    let topic = shared.config.topics.collected.name.as_str();
    let payload = collected.map_or(record.value, |collected| collected.payload);
    let envelope = parse_envelope(payload).ok();
    let place = format!("{topic}:{}:{offset}", record.partition);
    let row = collected.and_then(|row| Some(format!("{}:{}:{}", row.data_set?, row.file?, row.line?)));
    let event_time = collected.map_or(record.timestamp_ms, |collected| collected.received_at);
    let rejected = Rejected {
        rejection_id: row.as_deref().unwrap_or(&place),
        revision: offset,
        retracted: false,
        event_time,
        site: collected.map_or("", |collected| collected.site),
        stage: "ingest",
        reason: error.reason.as_str(),
        field: Some(&*error.field).filter(|field| !field.is_empty()),
        detail: &error.detail,
        topic: Some(topic),
        partition: i32::try_from(record.partition).ok(),
        offset: Some(offset),
        data_set: collected.and_then(|collected| collected.data_set),
        file: collected.and_then(|collected| collected.file),
        line: collected.and_then(|collected| collected.line),
        event_id: envelope.as_ref().and_then(|envelope| envelope.id.as_deref()),
        payload,
    };
    let partition = record.partition % shared.config.topics.rejected.partitions.max(1);
    let key = rejected.rejection_id.as_bytes();
    let schema_id = shared.config.schema_ids.to_wire(Rejected::ID);
    out.push(OUT_REJECTED, partition, event_time.max(0), key, |bytes| rejected.encode_framed(schema_id, bytes));
}

/// An error that concerns the record as a whole.
pub fn whole(reason: Reason, detail: impl Into<std::borrow::Cow<'static, str>>) -> InputError {
    InputError::new(reason, detail)
}
