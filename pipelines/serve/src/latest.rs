//! The newest revision of each key, in bounded memory.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

struct Slot<V> {
    revision: i64,
    /// `None`: the key has ceased. Its revision stays known, so that an older one that comes late does not bring it back.
    value: Option<V>,
    /// When it was last changed; the queue's entries with another number are stale.
    turn: u64,
}

/// Keys with their newest revision: the higher revision wins, a retracted one removes the row. What is applied twice, or in another
/// order, ends the same, for as long as no key is forgotten.
pub(crate) struct Latest<K, V> {
    slots: HashMap<K, Slot<V>>,
    /// Keys in the order of their last change, with entries that are stale.
    order: VecDeque<(u64, K)>,
    turn: u64,
    capacity: usize,
}

/// What one record did.
pub(crate) struct Applied<K, V> {
    /// Whether its revision was the newest.
    pub newest: bool,
    /// The row that was there before.
    pub replaced: Option<V>,
    /// A row that had to go, because there are too many.
    pub forgotten: Option<(K, V)>,
}

impl<K: Clone + Eq + Hash, V> Latest<K, V> {
    pub fn new(capacity: usize) -> Self {
        Self { slots: HashMap::new(), order: VecDeque::new(), turn: 0, capacity: capacity.max(1) }
    }

    /// Applies one revision; `value` is `None` where it retracts the key.
    pub fn apply(&mut self, key: K, revision: i64, value: Option<V>) -> Applied<K, V> {
        if self.slots.get(&key).is_some_and(|slot| slot.revision >= revision) {
            return Applied { newest: false, replaced: None, forgotten: None };
        }
        self.turn += 1;
        self.order.push_back((self.turn, key.clone()));
        let slot = Slot { revision, value, turn: self.turn };
        let replaced = self.slots.insert(key, slot).and_then(|old| old.value);
        let forgotten = if self.slots.len() > self.capacity { self.forget_oldest() } else { None };
        if self.order.len() > 2 * self.capacity + 16 {
            let slots = &self.slots;
            self.order.retain(|(turn, key)| slots.get(key).is_some_and(|slot| slot.turn == *turn));
        }
        Applied { newest: true, replaced, forgotten }
    }

    fn forget_oldest(&mut self) -> Option<(K, V)> {
        while let Some((turn, key)) = self.order.pop_front() {
            if self.slots.get(&key).is_some_and(|slot| slot.turn == turn) {
                return self.slots.remove(&key).and_then(|slot| slot.value).map(|value| (key, value));
            }
        }
        None
    }

    /// The current row of a key with its revision.
    pub fn get(&self, key: &K) -> Option<(i64, &V)> {
        let slot = self.slots.get(key)?;
        slot.value.as_ref().map(|value| (slot.revision, value))
    }

    /// Keys known, those that have ceased included.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.slots.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::Latest;

    /// The rule, naively: of each key the record with the highest revision, unless that retracts it.
    fn oracle(records: &[(u8, i64, Option<u16>)]) -> Vec<(u8, Option<u16>)> {
        (0..8)
            .map(|key| {
                let newest = records.iter().filter(|record| record.0 == key).max_by_key(|record| record.1);
                (key, newest.and_then(|record| record.2))
            })
            .collect()
    }

    proptest! {
        #[test]
        fn whatever_the_order_and_however_often_the_newest_revision_stands(
            records in vec((0u8..8, 0i64..12, any::<Option<u16>>()), 0..60),
            shuffled in any::<u64>(),
        ) {
            // One record a key and revision, as producers promise.
            let mut records = records;
            records.sort_by_key(|record| (record.0, record.1));
            records.dedup_by_key(|record| (record.0, record.1));
            let mut played: Vec<_> = records.iter().chain(&records).copied().collect();
            let mut random = shuffled;
            for at in (1..played.len()).rev() {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                played.swap(at, (random >> 33) as usize % (at + 1));
            }
            let mut latest = Latest::new(8);
            for (key, revision, value) in played {
                latest.apply(key, revision, value);
            }
            for (key, expected) in oracle(&records) {
                prop_assert_eq!(latest.get(&key).map(|(_, value)| *value), expected);
            }
        }

        #[test]
        fn it_never_grows_beyond_its_capacity(records in vec((any::<u16>(), any::<i64>(), any::<Option<u8>>()), 0..300)) {
            let mut latest = Latest::new(10);
            for (key, revision, value) in records {
                latest.apply(key, revision, value);
                prop_assert!(latest.len() <= 10 && latest.order.len() <= 36);
            }
        }
    }

    #[test]
    fn the_least_recently_changed_is_forgotten_and_told() {
        let mut latest = Latest::new(2);
        latest.apply("a", 1, Some(1));
        latest.apply("b", 2, Some(2));
        latest.apply("a", 3, Some(3));
        let applied = latest.apply("c", 4, Some(4));
        assert_eq!(applied.forgotten, Some(("b", 2)));
        assert_eq!((latest.get(&"a"), latest.get(&"b")), (Some((3, &3)), None));
    }
}
