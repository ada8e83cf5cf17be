//! What changed in a map since a mark, so that snapshots are incremental and written while the map goes on changing.
//!
//! A snapshot is to hold the map as it was when it began, but is written bit by bit, over many epochs. An entry that changes before
//! its turn has come must be written as it was: its old value is in the undo log anyway, and instead of being dropped when the epoch
//! commits, it is put aside for the snapshot. So an entry costs nothing more on the hot path than one comparison.

use super::undo_map::Keep;

/// The epoch of an entry that was not touched since it was restored, or is not there.
pub(super) const NEVER: u64 = 0;

/// Where a snapshot's writing stands.
#[derive(Debug)]
struct Writing<K, V> {
    /// The mark before, which counts again if this snapshot is not kept.
    mark_before: u64,
    /// What changed since the mark before.
    keys: Vec<K>,
    /// How many of them are done.
    done: usize,
    /// Values as of the mark of entries that have changed since.
    old: Vec<(K, Option<V>)>,
}

/// Notes changes since a mark. Off until [`Tracking::start`].
#[derive(Debug)]
pub struct Tracking<K, V> {
    is_on: bool,
    /// The last epoch before the mark: entries touched in it or earlier have not been touched since.
    mark: u64,
    /// Keys touched since the mark, in committed epochs. One may be in it more than once.
    changed: Vec<K>,
    /// Places in the undo log of entries that this epoch is the first to touch since the mark, ascending.
    first: Vec<u32>,
    writing: Option<Writing<K, V>>,
}

impl<K, V> Default for Tracking<K, V> {
    fn default() -> Self {
        Self { is_on: false, mark: NEVER, changed: Vec::new(), first: Vec::new(), writing: None }
    }
}

impl<K: Copy, V> Tracking<K, V> {
    pub(super) fn start(&mut self) {
        self.is_on = true;
    }

    /// An entry last touched in `touched_in_epoch` is saved at `place` of the undo log.
    pub(super) fn touch(&mut self, touched_in_epoch: u64, place: usize) {
        if self.is_on && touched_in_epoch <= self.mark {
            // An epoch touches far fewer than 2^32 entries.
            self.first.push(place as u32);
        }
    }

    /// The epoch becomes permanent: what it was the first to touch has changed. Takes old values that a snapshot still needs.
    pub(super) fn commit<S: Keep<V>>(&mut self, saved: &mut [(K, Option<S::Saved>)]) {
        for place in self.first.drain(..) {
            let Some((key, old)) = saved.get_mut(place as usize) else { continue };
            self.changed.push(*key);
            // Once all is written, nobody waits for old values any more.
            if let Some(writing) = self.writing.as_mut().filter(|writing| writing.done < writing.keys.len()) {
                writing.old.push((*key, old.take().map(S::restore)));
            }
        }
    }

    /// The touch saved at `place` is taken back: what the entry's epoch must be, so that it counts as touched since the mark exactly
    /// where it was before.
    pub(super) fn undo(&mut self, place: usize, epoch: u64) -> u64 {
        match self.first.last() {
            Some(first) if *first as usize == place => {
                self.first.pop();
                NEVER
            }
            // Touched since the mark, in an epoch before this one; or tracking is off.
            _ => epoch,
        }
    }

    pub(super) fn mark(&mut self, epoch: u64) {
        self.end(false, |_, _| false);
        let (mark_before, keys) = (std::mem::replace(&mut self.mark, epoch), std::mem::take(&mut self.changed));
        self.writing = Some(Writing { mark_before, keys, done: 0, old: Vec::new() });
    }

    pub(super) fn take_old(&mut self) -> Vec<(K, Option<V>)> {
        self.writing.as_mut().map(|writing| std::mem::take(&mut writing.old)).unwrap_or_default()
    }

    /// The next key to write, and the mark.
    pub(super) fn next_key(&mut self) -> Option<(K, u64)> {
        let writing = self.writing.as_mut()?;
        let key = writing.keys.get(writing.done).copied()?;
        writing.done += 1;
        Some((key, self.mark))
    }

    /// Whether every key had its turn.
    pub(super) fn is_written(&self) -> bool {
        self.writing.as_ref().is_none_or(|writing| writing.done == writing.keys.len())
    }

    /// What was not kept belongs to the next snapshot. `is_noted` says of a key and the mark whether it has changed again since, so that
    /// it is noted already: else a key would be noted once more with every snapshot that fails.
    pub(super) fn end(&mut self, kept: bool, is_noted: impl Fn(&K, u64) -> bool) {
        if let Some(writing) = self.writing.take()
            && !kept
        {
            let mark = std::mem::replace(&mut self.mark, writing.mark_before);
            self.changed.extend(writing.keys.into_iter().filter(|key| !is_noted(key, mark)));
        }
    }

    #[cfg(test)]
    pub(super) fn noted(&self) -> usize {
        self.changed.len()
    }
}
