//! Keyed state that an aborted epoch leaves as it was.

use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::tracking::{NEVER, Tracking};

#[cfg(test)]
mod tests;

/// Hashes a key that already is a good hash (an id) by taking its low 64 bits, and anything else by folding it.
#[derive(Debug, Default, Clone, Copy)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_u128(&mut self, value: u128) {
        self.0 ^= value as u64;
    }
}

#[derive(Debug)]
struct Slot<V> {
    touched_in_epoch: u64,
    value: V,
}

/// How an [`UndoMap`] keeps the old value of an entry that is touched, until the epoch ends.
pub trait Keep<V> {
    /// What is kept. It lies in a buffer that is used again in every epoch, so that a value without pointers costs no allocation.
    type Saved;

    /// Keeps a value that is about to change.
    fn save(value: &V) -> Self::Saved;

    /// The value again.
    fn restore(saved: Self::Saved) -> V;

    /// A hint: these are about to be dropped. Memory that dropping them touches can be read here, for all of them at the same time.
    fn warm<K>(_saved: &[(K, Option<Self::Saved>)]) {}
}

/// Keeps a clone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clones;

impl<V: Clone> Keep<V> for Clones {
    type Saved = V;

    fn save(value: &V) -> V {
        value.clone()
    }

    fn restore(saved: V) -> V {
        saved
    }
}

/// Saved entries dropped together.
const DROPPED_TOGETHER: usize = 16;
/// Room for saved entries that outlives an epoch.
const SAVED_ROOM: usize = 16_384;

/// A hash map whose changes since the last [`UndoMap::commit`] can be taken back.
///
/// The first touch of an entry in an epoch saves the old one; [`UndoMap::commit`] drops what was saved, [`UndoMap::undo`] applies
/// it in reverse. Operators cannot iterate it: its order would differ from run to run.
///
/// After [`UndoMap::track`] it also notes what changed since a mark, so that a snapshot can be written bit by bit while the map goes on
/// changing; see [`Tracking`].
pub struct UndoMap<K, V, S: Keep<V> = Clones> {
    slots: HashMap<K, Slot<V>, BuildHasherDefault<IdHasher>>,
    saved: Vec<(K, Option<S::Saved>)>,
    epoch: u64,
    tracking: Tracking<K, V>,
}

impl<K, V, S: Keep<V>> fmt::Debug for UndoMap<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UndoMap")
            .field("entries", &self.slots.len())
            .field("saved", &self.saved.len())
            .finish_non_exhaustive()
    }
}

impl<K, V, S: Keep<V>> Default for UndoMap<K, V, S> {
    fn default() -> Self {
        Self { slots: HashMap::default(), saved: Vec::new(), epoch: 1, tracking: Tracking::default() }
    }
}

impl<K: Eq + Hash + Copy, V: Clone> UndoMap<K, V> {
    /// An empty map that keeps clones.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<K: Eq + Hash + Copy, V, S: Keep<V>> UndoMap<K, V, S> {
    /// Reads an entry.
    pub fn get(&self, key: K) -> Option<&V> {
        self.slots.get(&key).map(|slot| &slot.value)
    }

    /// The entry for writing, made by `default` where there is none.
    pub fn get_or_insert_with(&mut self, key: K, default: impl FnOnce() -> V) -> &mut V {
        match self.slots.entry(key) {
            Entry::Occupied(occupied) => {
                let slot = occupied.into_mut();
                if slot.touched_in_epoch != self.epoch {
                    self.tracking.touch(slot.touched_in_epoch, self.saved.len());
                    self.saved.push((key, Some(S::save(&slot.value))));
                    slot.touched_in_epoch = self.epoch;
                }
                &mut slot.value
            }
            Entry::Vacant(vacant) => {
                self.tracking.touch(NEVER, self.saved.len());
                self.saved.push((key, None));
                &mut vacant.insert(Slot { touched_in_epoch: self.epoch, value: default() }).value
            }
        }
    }

    /// The entry for writing, if there is one.
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let slot = self.slots.get_mut(&key)?;
        if slot.touched_in_epoch != self.epoch {
            self.tracking.touch(slot.touched_in_epoch, self.saved.len());
            self.saved.push((key, Some(S::save(&slot.value))));
            slot.touched_in_epoch = self.epoch;
        }
        Some(&mut slot.value)
    }

    /// Removes an entry and returns it.
    pub fn remove(&mut self, key: K) -> Option<V> {
        let slot = self.slots.remove(&key)?;
        self.tracking.touch(slot.touched_in_epoch, self.saved.len());
        // Saved even when it was touched before in this epoch: undo runs in reverse, so the oldest value is applied last.
        self.saved.push((key, Some(S::save(&slot.value))));
        Some(slot.value)
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Entries saved in this epoch.
    pub fn saved_len(&self) -> usize {
        self.saved.len()
    }

    /// Makes the changes since the last commit permanent.
    pub fn commit(&mut self) {
        self.tracking.commit::<S>(&mut self.saved);
        while let Some(from) = self.saved.len().checked_sub(1) {
            let from = from / DROPPED_TOGETHER * DROPPED_TOGETHER;
            S::warm(self.saved.get(from..).unwrap_or_default());
            self.saved.truncate(from);
        }
        self.end_epoch();
    }

    /// Takes back the changes since the last commit.
    pub fn undo(&mut self) {
        while let Some((key, old)) = self.saved.pop() {
            let touched_in_epoch = self.tracking.undo(self.saved.len(), self.epoch);
            match old {
                Some(saved) => {
                    self.slots.insert(key, Slot { touched_in_epoch, value: S::restore(saved) });
                }
                None => {
                    self.slots.remove(&key);
                }
            }
        }
        self.end_epoch();
    }

    /// From now on what changes is noted. Before anything is in the map.
    pub fn track(&mut self) {
        self.tracking.start();
    }

    /// The map as it is now, with nothing open, is what the next pieces ([`UndoMap::next_changed`]) are of: what was changed since the
    /// last mark that was kept.
    pub fn mark(&mut self) {
        self.tracking.mark(self.epoch - 1);
    }

    /// Calls `write` with entries that differ from those of the mark before, as they were at this mark; `None` for one that was not
    /// there. Stops when `write` says that it is enough. True when that was all. Between epochs only; of a key that comes more than
    /// once, the first entry holds.
    pub fn next_changed(&mut self, mut write: impl FnMut(K, Option<&V>) -> bool) -> bool {
        // First those that have changed since: they must come before what the map has of them now.
        for (key, old) in self.tracking.take_old() {
            write(key, old.as_ref());
        }
        while let Some((key, mark)) = self.tracking.next_key() {
            let enough = match self.slots.get_mut(&key) {
                // Written when it was changed.
                Some(slot) if slot.touched_in_epoch > mark => false,
                Some(slot) => !write(key, Some(&slot.value)),
                None => !write(key, None),
            };
            if enough {
                return self.tracking.is_written();
            }
        }
        true
    }

    /// What was written since the mark is kept, or belongs to the next mark.
    pub fn end_mark(&mut self, kept: bool) {
        let Self { slots, tracking, .. } = self;
        tracking.end(kept, |key, mark| slots.get(key).is_some_and(|slot| slot.touched_in_epoch > mark));
    }

    /// Puts an entry of a snapshot into a map that is being filled. False where the key is there already: the first holds.
    pub fn restore(&mut self, key: K, value: impl FnOnce() -> V) -> bool {
        match self.slots.entry(key) {
            Entry::Occupied(_) => false,
            Entry::Vacant(vacant) => {
                vacant.insert(Slot { touched_in_epoch: NEVER, value: value() });
                true
            }
        }
    }

    /// As [`UndoMap::restore`], with a value that may be unreadable.
    ///
    /// # Errors
    /// What `value` says.
    pub fn try_restore<E>(&mut self, key: K, value: impl FnOnce() -> Result<V, E>) -> Result<bool, E> {
        match self.slots.entry(key) {
            Entry::Occupied(_) => Ok(false),
            Entry::Vacant(vacant) => {
                vacant.insert(Slot { touched_in_epoch: NEVER, value: value()? });
                Ok(true)
            }
        }
    }

    /// All entries, in no order: for what is made of all of them whatever their order, after a restore. Nothing that is written may
    /// depend on it.
    pub fn unordered(&self) -> impl Iterator<Item = (K, &V)> {
        self.slots.iter().map(|(key, slot)| (*key, &slot.value))
    }

    fn end_epoch(&mut self) {
        self.epoch += 1;
        // One epoch may have touched very much; the next ones need not hold its room.
        if self.saved.capacity() > SAVED_ROOM {
            self.saved.shrink_to(SAVED_ROOM);
        }
    }
}
