//! How far imports have come, copied with what they have brought: an import that is done is not to be done again.

use std::collections::BTreeMap;

use millstream_schemas::{ImportProgress, SchemaIds, frame};
use millstream_transports::{Append, Transport};

use crate::ReplayError;
use crate::copy::commit;
use crate::reading::{Next, read};

/// Data sets of which an import has begun and not ended.
///
/// # Errors
/// Where the log cannot be read.
pub fn unfinished(transport: &dyn Transport, ids: &SchemaIds, namespace: &str) -> Result<Vec<String>, ReplayError> {
    let topic = format!("{namespace}{}", ImportProgress::TOPIC);
    let mut finished: BTreeMap<String, bool> = BTreeMap::new();
    for partition in 0..transport.partition_count(&topic)? {
        read(transport, &topic, partition, 0, u64::MAX, |record| {
            let body = frame::split(record.value).ok().filter(|(id, _)| ids.from_wire(*id) == ImportProgress::ID);
            if let Some(progress) = body.and_then(|(_, body)| ImportProgress::decode(body).ok()) {
                finished.insert(progress.data_set.to_owned(), progress.finished);
            }
            Ok(Next::On)
        })?;
    }
    Ok(finished.into_iter().filter(|(_, is_finished)| !is_finished).map(|(data_set, _)| data_set).collect())
}

/// Copies what the other namespace does not have yet. To be called while it is a copy and nothing else.
pub(crate) fn copy(transport: &dyn Transport, ids: &SchemaIds, from: &str, to: &str) -> Result<(), ReplayError> {
    let data_sets = unfinished(transport, ids, from)?;
    if !data_sets.is_empty() {
        return Err(ReplayError::Importing { data_sets });
    }
    let (from, to) = (format!("{from}{}", ImportProgress::TOPIC), format!("{to}{}", ImportProgress::TOPIC));
    let mut copies = transport.transactions(&format!("{to}-replay"), vec![to.clone()])?;
    for partition in 0..transport.partition_count(&from)? {
        let mut known = 0u64;
        read(transport, &to, partition, 0, u64::MAX, |_| {
            known += 1;
            Ok(Next::On)
        })?;
        read(transport, &from, partition, 0, u64::MAX, |record| {
            if known > 0 {
                known -= 1;
                return Ok(Next::On);
            }
            let (timestamp_ms, key, value) = (record.timestamp_ms, record.key, record.value);
            copies.send(Append { topic: 0, partition, timestamp_ms, key, value })?;
            Ok(Next::On)
        })?;
    }
    commit(copies.as_mut(), &to)
}
