//! An event on its way to the collector.

use std::cmp::Ordering;

/// One event as it reaches the collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// When it arrives (true time), milliseconds since the epoch.
    pub arrives_ms: i64,
    /// The sender's clock when it sent it: off where the device's clock is.
    pub sent_at_ms: i64,
    /// The event's JSON; bad input may be no JSON at all.
    pub json: Vec<u8>,
    /// Whether it is JSON (but for its UTF-8), so that it can share a request with others.
    pub well_formed: bool,
}

/// A delivery in the queue: by arrival, then by the order in which it was made.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) delivery: Delivery,
    pub(crate) number: u64,
}

impl Queued {
    fn rank(&self) -> (i64, u64) {
        (self.delivery.arrives_ms, self.number)
    }
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Queued {}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}
