//! Which ids snapshots have, and those that the next one needs: ids lie in buckets in the order in which they came, so that what was
//! added between two marks is a range.

use std::collections::VecDeque;

use millstream_operators::core::encoding::write;
use millstream_operators::core::{StateError, StateReader};

use super::{Bucket, Dedup, Seen, hash, id_of, words};

/// Version of the encoding of the position.
const VERSION: u8 = 1;

/// Behind so many ids of a bucket, and behind all buckets before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    bucket: u32,
    ids: usize,
}

/// A snapshot that is being written: from `until` back to what is kept, so that of an id that came again the newest bucket comes first.
#[derive(Debug)]
struct Writing {
    /// Where the ids ended at the mark.
    until: Place,
    /// All behind this place are written.
    next: Place,
    /// The oldest bucket whose ids counted at the mark.
    oldest: u32,
    is_done: bool,
}

/// What of the ids snapshots have.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// All ids before it are in snapshots that are kept, or have expired.
    kept: Place,
    writing: Option<Writing>,
}

impl Marks {
    /// Whether the snapshot that is being written may still need ids of this bucket.
    pub fn needs(&self, bucket: u32) -> bool {
        self.writing.as_ref().is_some_and(|writing| !writing.is_done && bucket >= writing.oldest)
    }
}

fn end(buckets: &VecDeque<Bucket>) -> Place {
    buckets.back().map_or_else(Place::default, |back| Place { bucket: back.number, ids: back.ids.len() })
}

impl Dedup {
    /// The ids as they are now are what the next snapshot holds: those that came since the last one that was kept and still count.
    /// Between epochs.
    pub fn mark(&mut self) {
        let until = end(&self.buckets).max(self.marks.kept);
        self.marks.writing = Some(Writing { until, next: until, oldest: self.now.oldest, is_done: false });
    }

    /// The oldest bucket that counted at the mark: ids of older ones have expired.
    pub fn oldest_at_mark(&self) -> u32 {
        self.marks.writing.as_ref().map_or(self.now.oldest, |writing| writing.oldest)
    }

    /// Calls `write` with the ids of the snapshot and their buckets until it says that it is enough; true when that was all. Of an id
    /// that comes more than once, the first counts.
    pub fn next_added(&mut self, mut write: impl FnMut(u128, u32) -> bool) -> bool {
        let Self { buckets, marks, .. } = self;
        let Some(writing) = &mut marks.writing else { return true };
        let from = marks.kept;
        let behind = buckets.partition_point(|bucket| bucket.number <= writing.next.bucket);
        let oldest = writing.oldest.max(from.bucket);
        for bucket in buckets.iter().take(behind).rev().take_while(|bucket| bucket.number >= oldest) {
            let until = if bucket.number == writing.next.bucket { writing.next.ids } else { bucket.ids.len() };
            let first = if bucket.number == from.bucket { from.ids } else { 0 };
            for (at, id) in bucket.ids.iter().enumerate().take(until).skip(first).rev() {
                writing.next = Place { bucket: bucket.number, ids: at };
                if !write(*id, bucket.number) {
                    return false;
                }
            }
        }
        writing.is_done = true;
        true
    }

    /// What was written since the mark is kept, or belongs to the next one.
    pub fn end_mark(&mut self, kept: bool) {
        if let Some(writing) = self.marks.writing.take()
            && kept
        {
            self.marks.kept = writing.until;
        }
    }

    /// Appends what is not an id, for a snapshot.
    pub fn encode_position(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        for number in [self.width_ms, self.now.horizon_ms, self.now.newest.into(), self.now.oldest.into()] {
            write::long(out, number);
        }
    }

    /// Takes in what [`Dedup::encode_position`] wrote, before any id. Buckets keep the width that they had.
    ///
    /// # Errors
    /// Where it is damaged or of an unknown version.
    pub fn restore_position(&mut self, value: &[u8]) -> Result<(), StateError> {
        let (_, mut reader) = StateReader::versioned(value, VERSION)?;
        let (width_ms, horizon_ms) = (reader.long()?, reader.long()?);
        let (newest, oldest) = (reader.small()?, reader.small()?);
        reader.finish()?;
        if width_ms < 1 || horizon_ms < 1 || oldest > newest {
            return Err(StateError::impossible(format!(
                "buckets {oldest} to {newest} of {width_ms} ms for {horizon_ms} ms"
            )));
        }
        self.width_ms = width_ms;
        self.now.horizon_ms = self.now.horizon_ms.max(horizon_ms);
        (self.now.newest, self.now.oldest) = (newest, oldest);
        Ok(())
    }

    /// Takes an id of a snapshot in, unless it is here already or has expired.
    ///
    /// # Errors
    /// Where its bucket has not begun yet.
    pub fn restore(&mut self, id: u128, bucket: u32) -> Result<(), StateError> {
        let (oldest, newest) = (self.now.oldest, self.now.newest);
        if bucket > newest {
            return Err(StateError::impossible(format!("an id of bucket {bucket}; the newest is {newest}")));
        }
        let key = words(id);
        let entry = self.table.entry(hash(id), |seen| seen.id == key, |seen| hash(id_of(seen.id)));
        let hashbrown::hash_table::Entry::Vacant(vacant) = entry else { return Ok(()) };
        if bucket < oldest {
            return Ok(());
        }
        vacant.insert(Seen { id: key, bucket });
        let at = self.buckets.partition_point(|other| other.number < bucket);
        match self.buckets.get_mut(at) {
            Some(known) if known.number == bucket => known.ids.push(id),
            _ => self.buckets.insert(at, Bucket { number: bucket, ids: vec![id] }),
        }
        self.now.live += 1;
        Ok(())
    }

    /// All ids of a snapshot were taken in.
    pub fn restored(&mut self) {
        self.committed = self.now;
        self.marks.kept = end(&self.buckets);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const SECOND_MS: i64 = 1_000;
    const HORIZON_MS: i64 = 24 * SECOND_MS;

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u128),
        Advance(i64),
        Widen(i64),
        Commit,
        Undo,
        /// Between epochs: a mark where none is, else so many ids written, and the end of it.
        Snapshot {
            most: usize,
            kept: bool,
        },
        /// Between epochs: whoever crashes begins again from what was kept.
        Crash,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            12 => (0..40u128).prop_map(Step::Insert),
            4 => (0..30i64).prop_map(Step::Advance),
            1 => (20..60i64).prop_map(Step::Widen),
            2 => Just(Step::Commit),
            2 => Just(Step::Undo),
            4 => (0..6usize, prop::bool::weighted(0.8)).prop_map(|(most, kept)| Step::Snapshot { most, kept }),
            1 => Just(Step::Crash),
        ]
    }

    /// Snapshots as a folder of them would hold them.
    #[derive(Default)]
    struct Stored {
        ids: BTreeMap<u128, u32>,
        position: Vec<u8>,
        /// How many steps the snapshot knows of.
        steps: usize,
    }

    /// What a step does beside snapshots; says whether an inserted id was new.
    fn apply(dedup: &mut Dedup, time_ms: &mut i64, step: &Step) -> Option<bool> {
        match step {
            Step::Insert(id) => return Some(dedup.insert(*id)),
            Step::Advance(seconds) => {
                *time_ms += seconds * SECOND_MS;
                dedup.advance(*time_ms);
            }
            Step::Widen(seconds) => dedup.widen(seconds * SECOND_MS),
            _ => {}
        }
        None
    }

    proptest! {
        /// Against one that is never snapshotted, freed of nothing undone, and never crashes: what counts as seen is the same, whatever
        /// is written when, kept or not, undone or expired in between.
        #[test]
        fn what_is_restored_knows_the_same_ids(steps in prop::collection::vec(step(), 0..300)) {
            // Steps of committed epochs, each with what it said and the time after it.
            let mut done: Vec<(Step, Option<bool>, i64)> = Vec::new();
            let mut epoch: Vec<(Step, Option<bool>, i64)> = Vec::new();
            let (mut dedup, mut time_ms) = (Dedup::new(HORIZON_MS, usize::MAX), 0);
            let mut stored = Stored::default();
            let mut open: Option<(BTreeMap<u128, u32>, Vec<u8>, usize)> = None;
            dedup.encode_position(&mut stored.position);
            for step in steps {
                match step {
                    Step::Insert(_) | Step::Advance(_) | Step::Widen(_) => {
                        let said = apply(&mut dedup, &mut time_ms, &step);
                        epoch.push((step, said, time_ms));
                    }
                    Step::Commit => { dedup.commit(); done.append(&mut epoch); }
                    Step::Undo => {
                        dedup.undo();
                        epoch.clear();
                        time_ms = done.last().map_or(0, |done| done.2);
                    }
                    Step::Snapshot { most, kept } => {
                        dedup.commit();
                        done.append(&mut epoch);
                        let Some((mut written, position, at)) = open.take() else {
                            dedup.mark();
                            let mut position = Vec::new();
                            dedup.encode_position(&mut position);
                            open = Some((BTreeMap::new(), position, done.len()));
                            continue;
                        };
                        let mut left = most;
                        let all = dedup.next_added(|id, bucket| {
                            written.entry(id).or_insert(bucket);
                            left = left.saturating_sub(1);
                            left > 0
                        });
                        if !all {
                            open = Some((written, position, at));
                            continue;
                        }
                        let floor = dedup.oldest_at_mark();
                        dedup.end_mark(kept);
                        if kept {
                            stored.ids.extend(written);
                            stored.ids.retain(|_, bucket| *bucket >= floor);
                            (stored.position, stored.steps) = (position, at);
                        }
                    }
                    Step::Crash => {
                        open = None;
                        epoch.clear();
                        dedup = Dedup::new(HORIZON_MS, usize::MAX);
                        dedup.restore_position(&stored.position).unwrap();
                        for (id, bucket) in &stored.ids {
                            dedup.restore(*id, *bucket).unwrap();
                        }
                        dedup.restored();
                        time_ms = stored.steps.checked_sub(1).map_or(0, |last| done[last].2);
                        for (step, said, _) in &done[stored.steps..] {
                            prop_assert_eq!(apply(&mut dedup, &mut time_ms, step), *said);
                        }
                        dedup.commit();
                    }
                }
            }
            dedup.commit();
            done.append(&mut epoch);
            let (mut never, mut at_ms) = (Dedup::new(HORIZON_MS, usize::MAX), 0);
            for (step, said, _) in &done {
                prop_assert_eq!(apply(&mut never, &mut at_ms, step), *said);
            }
            prop_assert_eq!(dedup.live(), never.live());
            for id in 0..40 {
                prop_assert_eq!(dedup.insert(id), never.insert(id), "{}", id);
            }
        }
    }

    #[test]
    fn ids_that_a_snapshot_still_needs_are_not_freed() {
        let mut dedup = Dedup::new(HORIZON_MS, usize::MAX);
        dedup.insert(1);
        dedup.commit();
        dedup.mark();
        dedup.advance(1_000 * SECOND_MS);
        dedup.insert(1);
        dedup.commit();
        let mut written = Vec::new();
        assert!(dedup.next_added(|id, bucket| {
            written.push((id, bucket));
            true
        }));
        assert_eq!(written, [(1, 0)], "as it was at the mark");
        dedup.commit();
        assert_eq!((dedup.buckets.len(), dedup.live()), (1, 1), "then they go");
    }

    #[test]
    fn a_position_that_cannot_be_is_refused() {
        let mut dedup = Dedup::new(HORIZON_MS, usize::MAX);
        for numbers in [[0, 5, 1, 1], [1, 0, 1, 1], [1, 5, 1, 2], [1, 5, -1, 0]] {
            let mut value = vec![VERSION];
            numbers.iter().for_each(|number| write::long(&mut value, *number));
            assert!(dedup.restore_position(&value).is_err(), "{numbers:?}");
        }
        assert!(dedup.restore(7, 1).is_err(), "its bucket has not begun");
    }
}
