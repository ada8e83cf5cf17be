//! The encoding of a source's state on its way to another partition. Versioned, bounded, Avro's primitives in a fixed order.
//!
//! What a snapshot keeps of a source drops nothing and is another encoding ([`snapshot`](super::snapshot)), made of the same parts.

use std::sync::Arc;

use millstream_schemas::Id;

use super::state::{Purchase, Source};
use crate::attribution::Touches;
use crate::core::encoding::{write, write_count, write_list};
use crate::core::limits::{EVENTS_PER_SOURCE, PURCHASES_PER_SOURCE, SESSIONS_PER_SOURCE};
use crate::core::{StateError, StateReader};
use crate::sessions::codec::{read_session, write_session};
use crate::visits::Visits;

/// Version of the encoding.
pub const VERSION: i32 = 1;

/// A state is at most about this long; brokers refuse records beyond 1 MB by default. The single events of campaign mode, then the
/// oldest sessions are left out first: they stay as they were last emitted.
pub const STATE_BYTES_MAX: usize = 700_000;

/// Appends what is known of `source`.
pub fn encode(source: &Source, out: &mut Vec<u8>) {
    let start = out.len();
    let mut sessions: Vec<Vec<u8>> = Vec::new();
    let mut bytes = 0;
    for session in source.sessions.list.iter().rev() {
        let mut encoded = Vec::new();
        write_session(&mut encoded, session);
        bytes += encoded.len();
        if bytes > STATE_BYTES_MAX {
            break;
        }
        sessions.push(encoded);
    }
    write_count(out, sessions.len());
    for encoded in sessions.iter().rev() {
        out.extend_from_slice(encoded);
    }
    source.visits.encode(out);
    write::bytes(out, source.touches.as_bytes());
    write_purchases(out, source);
    let before_single = out.len();
    let single = source.sessions.single.as_deref().map(Vec::as_slice).unwrap_or_default();
    write_count(out, single.len());
    for event in single {
        write_session(out, event);
        if out.len() - start > STATE_BYTES_MAX {
            out.truncate(before_single);
            write_count(out, 0);
            break;
        }
    }
}

/// Reads what [`encode`] wrote; the empty state is that of a source of which nothing was known.
pub fn decode(id: Id, version: i32, state: &[u8]) -> Result<Source, StateError> {
    let mut source = Source::new(id);
    if state.is_empty() {
        return Ok(source);
    }
    if version != VERSION {
        return Err(StateError::Version { found: version, known: VERSION });
    }
    let reader = &mut StateReader::new(state);
    for _ in 0..reader.count("sessions", SESSIONS_PER_SOURCE)? {
        source.sessions.list.push(Arc::new(read_session(reader)?));
    }
    source.visits = Visits::decode(reader)?;
    source.touches = Touches::from_bytes(reader.bytes()?)?;
    source.purchases = read_purchases(reader)?;
    let single = reader.list("single events", EVENTS_PER_SOURCE, |reader| Ok(Arc::new(read_session(reader)?)))?;
    if !single.is_empty() {
        source.sessions.single = Some(Box::new(single));
    }
    reader.finish()?;
    Ok(source)
}

/// Appends the orders and refunds that follow a source.
pub(super) fn write_purchases(out: &mut Vec<u8>, source: &Source) {
    let purchases = source.purchases.as_deref().map(Vec::as_slice).unwrap_or_default();
    write_list(out, purchases, |out, purchase| {
        write::optional(out, purchase.order_id.as_deref(), write::str);
        write::optional(out, purchase.refund_id.as_deref(), write::str);
        write::long(out, purchase.event_time_ms);
    });
}

/// Reads what [`write_purchases`] wrote.
pub(super) fn read_purchases(reader: &mut StateReader<'_>) -> Result<Option<Arc<Vec<Purchase>>>, StateError> {
    let purchases = reader.list("purchases", PURCHASES_PER_SOURCE, |reader| {
        Ok(Purchase {
            order_id: reader.optional(StateReader::str)?.map(Box::from),
            refund_id: reader.optional(StateReader::str)?.map(Box::from),
            event_time_ms: reader.long()?,
        })
    })?;
    Ok((!purchases.is_empty()).then(|| Arc::new(purchases)))
}
