//! Unreadable records on their way to the dead-letter topic.

use millstream_schemas::{Rejected, SchemaIds};
use millstream_transports::{Append, Member, RecordRef, TransportError};

use crate::reading::Reject;
use crate::routes::Route;

/// The stage's name on a dead letter.
const STAGE: &str = "deliver";
/// Room for everything on a dead letter but the payload, where a record hardly fits the log's limit.
const OVERHEAD_BYTES: usize = 2_048;

/// A dead letter that is not sent yet. Its id is the record's place in the log, so that the same record gives the same letter.
#[derive(Debug)]
pub(crate) struct DeadLetter {
    reject: Reject,
    topic: String,
    partition: u32,
    offset: u64,
    timestamp_ms: i64,
    payload: Vec<u8>,
}

impl DeadLetter {
    pub(crate) fn new(reject: Reject, route: &Route, record: &RecordRef<'_>) -> Self {
        Self {
            reject,
            topic: route.topic.clone(),
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            payload: record.value.to_vec(),
        }
    }

    /// Bytes in memory, about.
    pub(crate) fn size_bytes(&self) -> usize {
        self.payload.len() + self.reject.detail.len() + size_of::<Self>()
    }

    /// Adds it to the member's open transaction. A letter that exceeds the log's limit only because of what we wrote around the
    /// payload carries the payload's beginning, and says so; the whole record is still where it says it is.
    pub(crate) fn send(&self, member: &mut dyn Member, ids: &SchemaIds, partitions: u32) -> Result<(), TransportError> {
        match self.send_payload(member, ids, partitions, &self.payload, &self.reject.detail) {
            Err(TransportError::TooLarge { limit_bytes, .. }) => {
                let kept = self.payload.len().min(limit_bytes.saturating_sub(OVERHEAD_BYTES));
                let detail = format!(
                    "{}; the payload is cut to its first {kept} of {} bytes",
                    self.reject.detail,
                    self.payload.len()
                );
                self.send_payload(member, ids, partitions, self.payload.get(..kept).unwrap_or_default(), &detail)
            }
            sent => sent,
        }
    }

    fn send_payload(
        &self,
        member: &mut dyn Member,
        ids: &SchemaIds,
        partitions: u32,
        payload: &[u8],
        detail: &str,
    ) -> Result<(), TransportError> {
        let rejection_id = format!("{}:{}:{}", self.topic, self.partition, self.offset);
        let offset = i64::try_from(self.offset).unwrap_or(i64::MAX);
        let rejected = Rejected {
            rejection_id: &rejection_id,
            revision: offset,
            retracted: false,
            event_time: self.timestamp_ms,
            site: "",
            stage: STAGE,
            reason: self.reject.reason.as_str(),
            field: self.reject.field,
            detail,
            topic: Some(&self.topic),
            partition: i32::try_from(self.partition).ok(),
            offset: Some(offset),
            payload,
            ..Rejected::default()
        };
        let mut value = Vec::with_capacity(payload.len() + 256);
        rejected.encode_framed(ids.to_wire(Rejected::ID), &mut value);
        member.send(Append {
            topic: 0,
            partition: self.partition % partitions.max(1),
            timestamp_ms: self.timestamp_ms,
            key: rejection_id.as_bytes(),
            value: &value,
        })
    }
}
