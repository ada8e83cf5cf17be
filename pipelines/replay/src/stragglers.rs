//! Events that collectors appended behind the record that handed their namespace over.

use std::collections::{BTreeMap, BTreeSet};

use millstream_schemas::{Collected, SchemaIds, frame};
use millstream_transports::{RecordRef, Transport};
use xxhash_rust::xxh3::xxh3_128;

use crate::ReplayError;
use crate::progress::Source;
use crate::reading::{Next, read};

/// The offsets of those events behind `source` that the other namespace's partition does not have.
pub(crate) fn missing(
    transport: &dyn Transport,
    ids: &SchemaIds,
    (from, to): &(String, String),
    partition: u32,
    source: &Source,
) -> Result<BTreeSet<u64>, ReplayError> {
    let mut offsets: BTreeMap<(i64, u128), Vec<u64>> = BTreeMap::new();
    read(transport, from, partition, source.next, u64::MAX, |record| {
        if frame::split(record.value).is_ok_and(|(id, _)| ids.from_wire(id) == Collected::ID) {
            offsets.entry(content(&record)).or_default().push(record.offset);
        }
        Ok(Next::On)
    })?;
    if !offsets.is_empty() {
        read(transport, to, partition, 0, u64::MAX, |record| {
            if let Some(same) = offsets.get_mut(&content(&record)) {
                same.pop();
            }
            Ok(Next::On)
        })?;
    }
    Ok(offsets.into_values().flatten().collect())
}

/// What makes two records the same: time, and hash of the value, which the key comes from.
fn content(record: &RecordRef<'_>) -> (i64, u128) {
    (record.timestamp_ms, xxh3_128(record.value))
}
