//! One partition on its way into its table.

use millstream_transports::{RecordRef, TopicPartition};

use crate::batch::{BatchId, ContentHash};
use crate::dead_letter::DeadLetter;
use crate::intent::Intent;
use crate::routes::Route;

/// Where the open batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Takes records.
    Filling,
    /// Complete; its intent is not committed yet.
    Sealed,
    /// Its intent is committed; whether its rows are in the sink is not known.
    Intended {
        /// Wall clock of the intent.
        at_ms: i64,
    },
    /// Its rows are in the sink; the offset behind it is not committed yet.
    Inserted,
}

/// The batch that a lane is filling or delivering.
pub(crate) struct OpenBatch<R> {
    pub(crate) rows: R,
    /// The topic's identity, part of its name.
    pub(crate) topic_id: String,
    pub(crate) phase: Phase,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) row_count: u64,
    pub(crate) filtered: u64,
    pub(crate) skipped: u64,
    pub(crate) rejected: u64,
    pub(crate) hash: ContentHash,
    /// Unreadable records, until the transaction that sends them has committed.
    pub(crate) dead_letters: Vec<DeadLetter>,
    pub(crate) dead_letter_bytes: usize,
    /// Monotonic time at which the first record was read, milliseconds.
    pub(crate) opened_ms: u64,
    /// The first record's own time, and the last one's, milliseconds since the epoch.
    pub(crate) first_timestamp_ms: i64,
    pub(crate) last_timestamp_ms: i64,
}

/// A partition that this member owns.
pub(crate) struct Lane<R> {
    pub(crate) partition: TopicPartition,
    /// The offset to read next: behind the last record taken.
    pub(crate) position: u64,
    /// The group's committed offset.
    pub(crate) committed: u64,
    pub(crate) open: Option<OpenBatch<R>>,
    /// The intent found when the partition was taken over: the next batch must be exactly this one.
    pub(crate) rebuilding: Option<Intent>,
    pub(crate) paused: bool,
    /// Whether polled records were dropped, so that reading must go back to `position`.
    pub(crate) rewind: bool,
    pub(crate) rejects_in_a_row: u32,
    /// Offsets between what was read and the end of the log, when it was last asked.
    pub(crate) backlog: u64,
    /// The newest delivered record's own time, milliseconds since the epoch.
    pub(crate) delivered_timestamp_ms: Option<i64>,
}

impl<R> Lane<R> {
    pub(crate) fn new(partition: TopicPartition, committed: u64, rebuilding: Option<Intent>) -> Self {
        Self {
            partition,
            position: committed,
            committed,
            open: None,
            rebuilding,
            paused: false,
            rewind: false,
            rejects_in_a_row: 0,
            backlog: 0,
            delivered_timestamp_ms: None,
        }
    }

    /// Whether the lane takes records now. One that is stuck with a complete batch does not: what it is given it reads again.
    pub(crate) fn takes_records(&self) -> bool {
        !self.rewind && self.open.as_ref().is_none_or(|open| open.phase == Phase::Filling)
    }

    /// The open batch with `record` as its newest, made where there is none.
    pub(crate) fn open_with(
        &mut self,
        record: &RecordRef<'_>,
        now_ms: u64,
        topic_id: &str,
        begin: impl FnOnce(&str) -> R,
    ) -> &mut OpenBatch<R> {
        self.position = record.offset + 1;
        // A batch that was intended is rebuilt under the name that it was intended with.
        let topic_id = self.rebuilding.as_ref().map_or(topic_id, |intended| intended.topic_id.as_str());
        let open = self.open.get_or_insert_with(|| OpenBatch {
            rows: begin(topic_id),
            topic_id: topic_id.to_owned(),
            phase: Phase::Filling,
            first: record.offset,
            last: record.offset,
            row_count: 0,
            filtered: 0,
            skipped: 0,
            rejected: 0,
            hash: ContentHash::default(),
            dead_letters: Vec::new(),
            dead_letter_bytes: 0,
            opened_ms: now_ms,
            first_timestamp_ms: record.timestamp_ms,
            last_timestamp_ms: record.timestamp_ms,
        });
        open.last = record.offset;
        open.last_timestamp_ms = record.timestamp_ms;
        open
    }

    /// Whether this lane's batch must be completed by reading on, because an intent says where it ends.
    pub(crate) fn is_rebuilding(&self) -> bool {
        self.rebuilding.is_some()
    }

    /// Whether its batch waits for the sink or the log.
    pub(crate) fn is_stuck(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.phase != Phase::Filling)
    }

    /// Records, and offsets that may be records, that are in the log and not in the sink. About: transaction markers count.
    pub(crate) fn lag_records(&self) -> u64 {
        let read = self.open.as_ref().map_or(0, |open| open.row_count + open.filtered + open.skipped + open.rejected);
        self.backlog + read
    }

    /// How old the oldest record is that is not in the sink, milliseconds; 0 where none is known. `now_ms` is the wall clock.
    pub(crate) fn lag_ms(&self, now_ms: i64) -> u64 {
        let oldest_ms = match &self.open {
            Some(open) => Some(open.first_timestamp_ms),
            None if self.backlog > 0 => self.delivered_timestamp_ms,
            None => None,
        };
        oldest_ms.map_or(0, |oldest_ms| u64::try_from(now_ms - oldest_ms).unwrap_or(0))
    }
}

impl<R> OpenBatch<R> {
    /// The batch's exact name.
    pub(crate) fn id(&self, route: &Route, partition: u32) -> BatchId {
        BatchId {
            table: route.table,
            topic: route.topic.clone(),
            topic_id: self.topic_id.clone(),
            partition,
            first: self.first,
            last: self.last,
            rows: self.row_count,
            content_hash: self.hash.finish(),
        }
    }
}
