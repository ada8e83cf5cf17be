//! Against maps that are copied.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{SAVED_ROOM, UndoMap};

#[derive(Debug, Clone)]
enum Action {
    Add(u64, u32),
    Remove(u64),
    Commit,
    Undo,
    /// Between epochs, with nothing open: a mark where none is, else so many entries written, and the end of it.
    Snapshot {
        most: usize,
        kept: bool,
    },
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (0..12u64, any::<u32>()).prop_map(|(key, value)| Action::Add(key, value)),
        2 => (0..12u64).prop_map(Action::Remove),
        1 => Just(Action::Commit),
        1 => Just(Action::Undo),
        2 => (0..4usize, prop::bool::weighted(0.8)).prop_map(|(most, kept)| Action::Snapshot { most, kept }),
    ]
}

/// What a snapshot wrote, and what the map was at its mark.
type Open = (BTreeMap<u64, Option<u32>>, BTreeMap<u64, u32>);

/// Snapshots as a folder of them would hold them: what each wrote, the first of a key holds, and newer ones over older ones.
#[derive(Default)]
struct Snapshots {
    stored: BTreeMap<u64, u32>,
    /// What the open one wrote, and what the map was at its mark.
    open: Option<Open>,
    kept: usize,
}

impl Snapshots {
    fn step(&mut self, map: &mut UndoMap<u64, u32>, committed: &BTreeMap<u64, u32>, most: usize, kept: bool) {
        let Some((mut written, at_mark)) = self.open.take() else {
            map.mark();
            self.open = Some((BTreeMap::new(), committed.clone()));
            return;
        };
        let mut left = most;
        let all = map.next_changed(|key, value| {
            written.entry(key).or_insert(value.copied());
            left = left.saturating_sub(1);
            left > 0
        });
        if !all {
            self.open = Some((written, at_mark));
            return;
        }
        map.end_mark(kept);
        if kept {
            for (key, value) in written {
                match value {
                    Some(value) => self.stored.insert(key, value),
                    None => self.stored.remove(&key),
                };
            }
            assert_eq!(self.stored, at_mark);
            self.kept += 1;
        }
    }
}

proptest! {
    #[test]
    fn snapshots_written_bit_by_bit_hold_the_map_as_it_was_at_their_mark(
        actions in prop::collection::vec(action(), 0..400),
    ) {
        let mut map = UndoMap::<u64, u32>::new();
        map.track();
        let mut now = BTreeMap::new();
        let mut committed = BTreeMap::new();
        let mut snapshots = Snapshots::default();
        for step in actions {
            match step {
                Action::Add(key, value) => {
                    *map.get_or_insert_with(key, || 0) ^= value;
                    *now.entry(key).or_insert(0u32) ^= value;
                }
                Action::Remove(key) => { map.remove(key); now.remove(&key); }
                Action::Commit => { map.commit(); committed = now.clone(); }
                Action::Undo => { map.undo(); now = committed.clone(); }
                Action::Snapshot { most, kept } => {
                    map.commit();
                    committed = now.clone();
                    snapshots.step(&mut map, &committed, most, kept);
                }
            }
        }
        map.commit();
        while snapshots.open.is_some() || snapshots.kept == 0 {
            snapshots.step(&mut map, &now, 3, true);
        }
        let mut restored = UndoMap::<u64, u32>::new();
        restored.track();
        for (key, value) in &snapshots.stored {
            restored.restore(*key, || *value);
        }
        let stored: BTreeMap<u64, u32> = restored.unordered().map(|(key, value)| (key, *value)).collect();
        prop_assert_eq!(stored, snapshots.stored);
    }

    #[test]
    fn agrees_with_a_model_that_copies_everything(actions in prop::collection::vec(action(), 0..200)) {
        let mut map = UndoMap::<u64, u32>::new();
        let mut now = BTreeMap::new();
        let mut committed = BTreeMap::new();
        for step in actions {
            match step {
                Action::Add(key, value) => {
                    let slot = map.get_or_insert_with(key, || 0);
                    *slot = slot.wrapping_add(value);
                    let entry = now.entry(key).or_insert(0u32);
                    *entry = entry.wrapping_add(value);
                }
                Action::Remove(key) => prop_assert_eq!(map.remove(key), now.remove(&key)),
                Action::Commit => { map.commit(); committed = now.clone(); }
                Action::Undo => { map.undo(); now = committed.clone(); }
                Action::Snapshot { .. } => {}
            }
            prop_assert_eq!(map.len(), now.len());
            for key in 0..12 {
                prop_assert_eq!(map.get(key), now.get(&key));
            }
        }
    }
}

#[test]
fn snapshots_that_fail_note_no_key_twice() {
    let mut map = UndoMap::<u64, u32>::new();
    map.track();
    for round in 0..50 {
        for key in 0..10 {
            *map.get_or_insert_with(key, || 0) += round;
        }
        map.commit();
        map.mark();
        *map.get_or_insert_with(3, || 0) += 1;
        map.commit();
        map.end_mark(false);
        assert_eq!(map.tracking.noted(), 10);
    }
    map.mark();
    let mut written = Vec::new();
    assert!(map.next_changed(|key, value| {
        written.push((key, value.copied()));
        true
    }));
    written.sort_unstable();
    let sum = 49 * 50 / 2;
    assert_eq!(written, (0..10).map(|key| (key, Some(sum + 50 * u32::from(key == 3)))).collect::<Vec<_>>());
}

#[test]
fn room_for_saved_entries_is_kept_but_bounded() {
    let mut map = UndoMap::<u64, u32>::new();
    for epoch in 0..3 {
        for key in 0..SAVED_ROOM as u64 * 2 {
            *map.get_or_insert_with(key, || 0) += 1;
        }
        if epoch == 1 {
            map.undo()
        } else {
            map.commit()
        }
        assert!((1..=SAVED_ROOM).contains(&map.saved.capacity()), "{}", map.saved.capacity());
    }
    assert_eq!(map.get(0), Some(&2));
}
