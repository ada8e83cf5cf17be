//! Timers in the order of their due times, which an aborted epoch leaves as they were.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Width of a bucket. Wide enough that few buckets exist, narrow enough that making one ready costs little.
const BUCKET_MS: i64 = 15_000;

/// Room kept for timers that are ready.
const READY_KEPT: usize = 1_024;

/// A due time and a key, in halves: 24 bytes, where a number of 128 bits would make it 32. Their order is that of
/// (due time, key).
type Timer = (i64, [u64; 2]);

fn timer(due_ms: i64, key: u128) -> Timer {
    // The halves: nothing is lost.
    (due_ms, [(key >> 64) as u64, key as u64])
}

fn key_of(timer: Timer) -> u128 {
    let [high, low] = timer.1;
    u128::from(high) << 64 | u128::from(low)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Added(Timer),
    Fired(Timer),
}

/// Timers, each due once.
///
/// A timer is never moved or cancelled: who wants it later lets it fire, looks, and sets another one (so that an event that
/// prolongs a session costs nothing here).
#[derive(Debug)]
pub struct Timers {
    /// Not yet in order; every bucket after `ready_until`.
    buckets: BTreeMap<i64, Vec<Timer>>,
    /// The timers of all buckets up to `ready_until`.
    ready: BinaryHeap<Reverse<Timer>>,
    ready_until: i64,
    done: Vec<Done>,
}

impl Default for Timers {
    fn default() -> Self {
        Self { buckets: BTreeMap::new(), ready: BinaryHeap::new(), ready_until: i64::MIN, done: Vec::new() }
    }
}

impl Timers {
    /// No timer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a timer for `key`.
    pub fn add(&mut self, due_ms: i64, key: u128) {
        self.insert(timer(due_ms, key));
        self.done.push(Done::Added(timer(due_ms, key)));
    }

    /// Sets a timer that a snapshot's state had; it cannot be taken back.
    pub fn restore(&mut self, due_ms: i64, key: u128) {
        self.insert(timer(due_ms, key));
    }

    /// Takes the first timer that is due strictly before `watermark_ms`: at the watermark itself events may still come. In the order
    /// of (due time, key).
    pub fn pop_before(&mut self, watermark_ms: i64) -> Option<(i64, u128)> {
        while let Some(entry) = self.buckets.first_entry() {
            if entry.key().saturating_mul(BUCKET_MS) >= watermark_ms {
                break;
            }
            let (bucket, timers) = entry.remove_entry();
            self.ready.extend(timers.into_iter().map(Reverse));
            self.ready_until = bucket;
        }
        let Reverse(first) = *self.ready.peek()?;
        if first.0 >= watermark_ms {
            return None;
        }
        self.ready.pop();
        self.done.push(Done::Fired(first));
        if self.ready.is_empty() {
            // A watermark that leapt made it larger than it will be again.
            self.ready.shrink_to(READY_KEPT);
        }
        Some((first.0, key_of(first)))
    }

    /// Number of timers set.
    pub fn len(&self) -> usize {
        self.ready.len() + self.buckets.values().map(Vec::len).sum::<usize>()
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let slots = self.ready.capacity() + self.buckets.values().map(Vec::capacity).sum::<usize>();
        slots * size_of::<Timer>() + self.buckets.len() * 48
    }

    /// Makes the changes since the last commit permanent.
    pub fn commit(&mut self) {
        self.done.clear();
    }

    /// Takes back the changes since the last commit.
    pub fn undo(&mut self) {
        while let Some(step) = self.done.pop() {
            match step {
                Done::Added(timer) => self.remove(timer),
                Done::Fired(timer) => self.insert(timer),
            }
        }
    }

    fn insert(&mut self, timer: Timer) {
        let bucket = timer.0.div_euclid(BUCKET_MS);
        if bucket <= self.ready_until {
            self.ready.push(Reverse(timer));
        } else {
            self.buckets.entry(bucket).or_default().push(timer);
        }
    }

    fn remove(&mut self, timer: Timer) {
        let bucket = timer.0.div_euclid(BUCKET_MS);
        let Some(timers) = self.buckets.get_mut(&bucket) else {
            // Made ready in the meantime. Slow, but only an aborted epoch comes here.
            let mut found = false;
            self.ready.retain(|other| {
                let gone = !found && other.0 == timer;
                found |= gone;
                !gone
            });
            return;
        };
        if let Some(at) = timers.iter().rposition(|other| *other == timer) {
            timers.swap_remove(at);
        }
        if timers.is_empty() {
            self.buckets.remove(&bucket);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Timers;

    #[derive(Debug, Clone)]
    enum Action {
        Add(i64, u128),
        FireBefore(i64),
        Commit,
        Undo,
    }

    fn action() -> impl Strategy<Value = Action> {
        prop_oneof![
            6 => (-60_000..60_000i64, 0..4u128).prop_map(|(due, key)| Action::Add(due, key)),
            2 => (-60_000..60_000i64).prop_map(Action::FireBefore),
            1 => Just(Action::Commit),
            1 => Just(Action::Undo),
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_a_sorted_list_that_is_copied(actions in prop::collection::vec(action(), 0..200)) {
            let mut timers = Timers::new();
            let mut model: Vec<(i64, u128)> = Vec::new();
            let mut committed = model.clone();
            for step in actions {
                match step {
                    Action::Add(due, key) => { timers.add(due, key); model.push((due, key)); model.sort(); }
                    Action::FireBefore(watermark) => {
                        let due = model.partition_point(|timer| timer.0 < watermark);
                        let expected: Vec<_> = model.drain(..due).collect();
                        let fired: Vec<_> = std::iter::from_fn(|| timers.pop_before(watermark)).collect();
                        prop_assert_eq!(fired, expected);
                    }
                    Action::Commit => { timers.commit(); committed = model.clone(); }
                    Action::Undo => { timers.undo(); model = committed.clone(); }
                }
                prop_assert_eq!(timers.len(), model.len());
            }
        }
    }
}
