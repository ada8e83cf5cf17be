//! Which events were seen before: 128-bit ids in time buckets, kept for the horizon.
//!
//! A resend later than the horizon is too late by its event time, so nothing needs to be remembered longer. Whether an id counts as
//! seen depends on the records alone: ids expire by bucket, by the running maximum of the input's time; when their memory is freed
//! does not matter.
//!
//! The budget counts [`BYTES_PER_ID`] for each id. A full budget never forgets: [`Dedup::over_budget`] says so, and the partition
//! must stop until it is given more. Buckets on disk, for budgets beyond memory, are not built yet.

use std::collections::VecDeque;
use std::hash::Hasher;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use millstream_operators::core::undo_map::IdHasher;

use marks::Marks;

mod marks;

/// What an id costs, on average: 20 bytes in a table between half and seven eighths full, one control byte, 16 bytes in its bucket.
pub const BYTES_PER_ID: usize = 48;
/// Buckets a horizon is cut into: ids live up to 1/24 longer than the horizon.
const BUCKETS_PER_HORIZON: i64 = 24;
/// Ids whose memory is freed at one commit at most, so that no epoch is long because a bucket ended.
const FREED_PER_COMMIT: usize = 16_384;

#[derive(Debug, Clone, Copy)]
struct Seen {
    /// The id's 128 bits; as words, to need no padding beside the bucket.
    id: [u32; 4],
    bucket: u32,
}

#[derive(Debug)]
pub(super) struct Bucket {
    number: u32,
    ids: Vec<u128>,
}

/// What changes without an id: saved as a whole.
#[derive(Debug, Clone, Copy)]
struct Position {
    horizon_ms: i64,
    newest: u32,
    /// The oldest bucket whose ids count. It never goes back, also where the horizon is widened: what has expired may be freed already.
    oldest: u32,
    live: usize,
    /// Buckets at the front that have expired but still hold memory.
    expired: usize,
}

/// The ids seen within the horizon; changes since the last commit can be taken back.
#[derive(Debug)]
pub struct Dedup {
    width_ms: i64,
    budget_bytes: usize,
    table: HashTable<Seen>,
    /// In order of their numbers.
    buckets: VecDeque<Bucket>,
    /// Ids of the first bucket that are freed already.
    freed_in_front: usize,
    now: Position,
    committed: Position,
    /// The ids inserted since the last commit, with the bucket each was in before.
    inserted: Vec<(u128, Option<u32>)>,
    /// What of it the snapshots have.
    marks: Marks,
}

impl Dedup {
    /// Nothing seen. `horizon_ms` is the least time ids are kept; `budget_bytes` bounds them.
    pub fn new(horizon_ms: i64, budget_bytes: usize) -> Self {
        let horizon_ms = horizon_ms.max(1);
        let now = Position { horizon_ms, newest: 0, oldest: 0, live: 0, expired: 0 };
        Self {
            width_ms: (horizon_ms / BUCKETS_PER_HORIZON).max(1_000),
            budget_bytes,
            table: HashTable::new(),
            buckets: VecDeque::new(),
            freed_in_front: 0,
            now,
            committed: now,
            inserted: Vec::new(),
            marks: Marks::default(),
        }
    }

    /// Keeps ids for at least `horizon_ms` from here on; a site may ask for more than the others.
    pub fn widen(&mut self, horizon_ms: i64) {
        self.now.horizon_ms = self.now.horizon_ms.max(horizon_ms);
    }

    /// Time has come to `time_ms`, the running maximum of the input's time; ids older than the horizon expire.
    pub fn advance(&mut self, time_ms: i64) {
        let bucket = u32::try_from(time_ms.max(0) / self.width_ms).unwrap_or(u32::MAX);
        if bucket <= self.now.newest {
            return;
        }
        self.now.newest = bucket;
        // One more than the horizon needs, because an id may have come at its bucket's very end.
        let kept = u32::try_from(self.now.horizon_ms / self.width_ms + 1).unwrap_or(u32::MAX);
        self.now.oldest = self.now.oldest.max(bucket.saturating_sub(kept));
        let oldest = self.now.oldest;
        while let Some(front) = self.buckets.get(self.now.expired).filter(|front| front.number < oldest) {
            self.now.live -= front.ids.len();
            self.now.expired += 1;
        }
    }

    /// Remembers an id; `false` if it was seen within the horizon.
    pub fn insert(&mut self, id: u128) -> bool {
        let (oldest, newest) = (self.now.oldest, self.now.newest);
        let words = words(id);
        let before = match self.table.entry(hash(id), |seen| seen.id == words, |seen| hash(id_of(seen.id))) {
            Entry::Occupied(mut occupied) => {
                let seen = occupied.get_mut();
                if seen.bucket >= oldest {
                    return false;
                }
                Some(std::mem::replace(&mut seen.bucket, newest))
            }
            Entry::Vacant(vacant) => {
                vacant.insert(Seen { id: words, bucket: newest });
                None
            }
        };
        match self.buckets.back_mut() {
            Some(back) if back.number == newest => back.ids.push(id),
            _ => self.buckets.push_back(Bucket { number: newest, ids: vec![id] }),
        }
        self.now.live += 1;
        self.inserted.push((id, before));
        true
    }

    /// Ids that count as seen.
    pub fn live(&self) -> usize {
        self.now.live
    }

    /// What the ids cost by [`BYTES_PER_ID`], where that is more than the budget.
    pub fn over_budget(&self) -> Option<OverBudget> {
        let needed_bytes = self.now.live.saturating_mul(BYTES_PER_ID);
        (needed_bytes > self.budget_bytes).then_some(OverBudget { needed_bytes, budget_bytes: self.budget_bytes })
    }

    /// How much of the budget the ids take, per cent.
    pub fn budget_percent(&self) -> u64 {
        let needed_bytes = self.now.live.saturating_mul(BYTES_PER_ID) as u64;
        needed_bytes.saturating_mul(100) / (self.budget_bytes as u64).max(1)
    }

    /// Bytes held to take the epoch back.
    pub fn undo_bytes(&self) -> usize {
        self.inserted.len() * size_of::<(u128, Option<u32>)>()
    }

    /// Makes the changes since the last commit permanent and frees some expired ids.
    pub fn commit(&mut self) {
        self.inserted.clear();
        let mut left = FREED_PER_COMMIT;
        while self.now.expired > 0 && left > 0 {
            let Some(front) = self.buckets.front() else { break };
            let number = front.number;
            if self.marks.needs(number) {
                break;
            }
            let until = front.ids.len().min(self.freed_in_front + left);
            for &id in front.ids.get(self.freed_in_front..until).unwrap_or_default() {
                let words = words(id);
                // An id that came again after it had expired belongs to a later bucket and stays.
                if let Ok(entry) = self.table.find_entry(hash(id), |seen| seen.id == words && seen.bucket == number) {
                    entry.remove();
                }
            }
            left -= until - self.freed_in_front;
            if until == front.ids.len() {
                self.buckets.pop_front();
                self.now.expired -= 1;
                self.freed_in_front = 0;
            } else {
                self.freed_in_front = until;
            }
        }
        self.committed = self.now;
    }

    /// Takes back the changes since the last commit.
    pub fn undo(&mut self) {
        while let Some((id, before)) = self.inserted.pop() {
            let words = words(id);
            if let Ok(mut entry) = self.table.find_entry(hash(id), |seen| seen.id == words) {
                match before {
                    Some(bucket) => entry.get_mut().bucket = bucket,
                    None => {
                        entry.remove();
                    }
                }
            }
            // Buckets only grow at the back, so the last id inserted is the last one there.
            if let Some(back) = self.buckets.back_mut() {
                back.ids.pop();
                if back.ids.is_empty() {
                    self.buckets.pop_back();
                }
            }
        }
        self.now = self.committed;
    }
}

/// The ids of the horizon do not fit: nothing may be forgotten, so the partition must stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "event ids within the horizon need {needed_bytes} bytes, the de-duplication budget is {budget_bytes}: \
     raise it or spread the input over more partitions"
)]
pub struct OverBudget {
    /// What they need.
    pub needed_bytes: usize,
    /// What there is.
    pub budget_bytes: usize,
}

fn hash(id: u128) -> u64 {
    let mut hasher = IdHasher::default();
    hasher.write_u128(id);
    hasher.finish()
}

fn words(id: u128) -> [u32; 4] {
    [id as u32, (id >> 32) as u32, (id >> 64) as u32, (id >> 96) as u32]
}

fn id_of(words: [u32; 4]) -> u128 {
    words.iter().rev().fold(0, |id, &word| id << 32 | u128::from(word))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn an_id_is_seen_for_the_horizon_and_not_for_ever() {
        let mut dedup = Dedup::new(24 * HOUR, usize::MAX);
        dedup.advance(1_000 * HOUR + 59 * 60_000);
        assert!(dedup.insert(7));
        dedup.advance(1_024 * HOUR + 59 * 60_000);
        assert!(!dedup.insert(7), "exactly the horizon later");
        dedup.advance(1_027 * HOUR);
        assert!(dedup.insert(7));
        assert!(!dedup.insert(7));
    }

    #[test]
    fn a_full_budget_is_told_and_nothing_is_forgotten() {
        let mut dedup = Dedup::new(HOUR, 2 * BYTES_PER_ID);
        assert!(dedup.insert(1) && dedup.insert(2));
        assert_eq!((dedup.over_budget(), dedup.budget_percent()), (None, 100));
        assert!(dedup.insert(3));
        assert_eq!(dedup.budget_percent(), 150);
        let over = dedup.over_budget().unwrap();
        assert_eq!((over.needed_bytes, over.budget_bytes), (3 * BYTES_PER_ID, 2 * BYTES_PER_ID));
        assert!(!dedup.insert(1) && !dedup.insert(2) && !dedup.insert(3));
    }

    #[test]
    fn memory_of_expired_ids_is_freed_bit_by_bit() {
        let mut dedup = Dedup::new(HOUR, usize::MAX);
        let ids = FREED_PER_COMMIT as u128 * 2 + 5;
        for id in 0..ids {
            dedup.insert(id);
        }
        dedup.commit();
        dedup.advance(100 * HOUR);
        assert_eq!(dedup.live(), 0);
        let mut held = Vec::new();
        for _ in 0..4 {
            dedup.commit();
            held.push(dedup.table.len());
        }
        assert_eq!(held, [FREED_PER_COMMIT + 5, 5, 0, 0]);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u128),
        Advance(i64),
        Commit,
        Undo,
    }

    proptest! {
        /// The model keeps every id with the bucket it came in, for ever, and copies itself at commits.
        #[test]
        fn agrees_with_a_model_that_never_frees(steps in prop::collection::vec(prop_oneof![
            6 => (0..40u128).prop_map(Step::Insert),
            2 => (0..30i64).prop_map(Step::Advance),
            1 => Just(Step::Commit),
            1 => Just(Step::Undo),
        ], 0..300)) {
            let mut dedup = Dedup::new(24_000, usize::MAX);
            let mut model = (BTreeMap::<u128, i64>::new(), 0i64);
            let mut saved = model.clone();
            for step in steps {
                match step {
                    Step::Insert(id) => {
                        let fresh = model.0.get(&id).is_none_or(|&bucket| bucket < model.1 - 25);
                        if fresh {
                            model.0.insert(id, model.1);
                        }
                        prop_assert_eq!(dedup.insert(id), fresh);
                    }
                    Step::Advance(seconds) => {
                        model.1 += seconds;
                        dedup.advance(model.1 * 1_000);
                    }
                    Step::Commit => { dedup.commit(); saved = model.clone(); }
                    Step::Undo => { dedup.undo(); model = saved.clone(); }
                }
                let live = model.0.values().filter(|&&bucket| bucket >= model.1 - 25).count();
                prop_assert_eq!(dedup.live(), live);
            }
        }
    }
}
