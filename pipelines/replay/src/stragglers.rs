//! Events that collectors appended behind the record that closed their namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;

use millstream_schemas::{Collected, SchemaIds, frame};
use millstream_transports::{Append, RecordRef, Transactions, Transport};
use xxhash_rust::xxh3::xxh3_128;

use crate::ReplayError;
use crate::reading::{Next, read};

/// How many there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stragglers {
    /// Appended where they are accepted.
    pub appended: u64,
    /// Left alone, for operators have let go of what they belong to; they are dead letters, with their bytes.
    pub too_old: u64,
}

impl AddAssign for Stragglers {
    fn add_assign(&mut self, other: Self) {
        self.appended += other.appended;
        self.too_old += other.too_old;
    }
}

/// A partition from an offset on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch<'a> {
    pub topic: &'a str,
    pub partition: u32,
    pub from: u64,
}

/// What makes two records the same: time, and hash of the value, which the key comes from.
pub(crate) type Content = (i64, u128);

/// The content of a record that is an event.
pub(crate) fn content(record: &RecordRef<'_>, ids: &SchemaIds) -> Option<Content> {
    let (id, _) = frame::split(record.value).ok()?;
    (ids.from_wire(id) == Collected::ID).then(|| (record.timestamp_ms, xxh3_128(record.value)))
}

/// The offsets of the events of one stretch that the other does not have.
pub(crate) fn missing(
    transport: &dyn Transport,
    ids: &SchemaIds,
    looked: Stretch<'_>,
    other: Stretch<'_>,
) -> Result<BTreeSet<u64>, ReplayError> {
    let mut offsets: BTreeMap<Content, Vec<u64>> = BTreeMap::new();
    read(transport, looked.topic, looked.partition, looked.from, u64::MAX, |record| {
        if let Some(content) = content(&record, ids) {
            offsets.entry(content).or_default().push(record.offset);
        }
        Ok(Next::On)
    })?;
    if !offsets.is_empty() {
        read(transport, other.topic, other.partition, other.from, u64::MAX, |record| {
            if let Some(same) = content(&record, ids).and_then(|content| offsets.get_mut(&content)) {
                same.pop();
            }
            Ok(Next::On)
        })?;
    }
    Ok(offsets.into_values().flatten().collect())
}

/// Sends the events at these offsets to the partition of the same number, in the open transaction.
pub(crate) fn append(
    transport: &dyn Transport,
    stretch: Stretch<'_>,
    offsets: &BTreeSet<u64>,
    is_too_old: &dyn Fn(&Collected<'_>) -> bool,
    to: &mut dyn Transactions,
) -> Result<Stragglers, ReplayError> {
    let mut stragglers = Stragglers::default();
    let Some(last) = offsets.last() else { return Ok(stragglers) };
    read(transport, stretch.topic, stretch.partition, stretch.from, last + 1, |record| {
        if !offsets.contains(&record.offset) {
            return Ok(Next::On);
        }
        let collected = frame::split(record.value).ok().and_then(|(_, body)| Collected::decode(body).ok());
        if collected.is_some_and(|collected| is_too_old(&collected)) {
            stragglers.too_old += 1;
            return Ok(Next::On);
        }
        let (timestamp_ms, key, value) = (record.timestamp_ms, record.key, record.value);
        to.send(Append { topic: 0, partition: stretch.partition, timestamp_ms, key, value })?;
        stragglers.appended += 1;
        Ok(Next::On)
    })?;
    Ok(stragglers)
}
