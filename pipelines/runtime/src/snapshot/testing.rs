//! Snapshots of a stage in memory, for tests: as a folder of them would hold them, without files.

use std::collections::{BTreeMap, BTreeSet};

use super::entries::Entries;
use super::manifest::{FORMAT, Manifest};
use super::names::TaskName;
use super::recovery::{Unusable, restore as restore_files};
use super::state::{RestoreError, SnapshotState};
use super::store::SnapshotStore;

/// Entries by section and key.
pub type Merged = BTreeMap<(u8, u128), Vec<u8>>;

/// One snapshot as it was written.
#[derive(Debug, Clone, Default)]
struct Run {
    /// In the order they were written; `None` for one that is gone.
    entries: Vec<(u8, u128, Option<Vec<u8>>)>,
    floors: Vec<(u8, u32)>,
}

/// Snapshots, each of what changed since the one before.
#[derive(Debug, Clone, Default)]
pub struct Snapshots {
    /// Those that were kept, the newest last.
    kept: Vec<Run>,
    open: Option<Run>,
}

impl Snapshots {
    /// No snapshot.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether one is being written.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Begins one. Between epochs.
    pub fn begin(&mut self, state: &mut dyn SnapshotState) {
        state.begin();
        self.open = Some(Run::default());
    }

    /// Writes a slice of about `slice_bytes` of the one that was begun. True when that was all. Between epochs.
    pub fn write(&mut self, state: &mut dyn SnapshotState, slice_bytes: usize) -> bool {
        let Some(run) = &mut self.open else { return true };
        let mut slice = Entries::sliced(slice_bytes);
        let is_done = state.write(&mut slice);
        run.entries.extend(slice.iter().map(|(section, key, value)| (section, key, value.map(<[u8]>::to_vec))));
        // Said in every slice, and the same.
        run.floors.clone_from(&slice.floors);
        is_done
    }

    /// Ends the one that was begun.
    pub fn end(&mut self, state: &mut dyn SnapshotState, kept: bool) {
        state.end(kept);
        let run = self.open.take();
        self.kept.extend(run.filter(|_| kept));
    }

    /// Takes a whole one at once and keeps it.
    pub fn take(&mut self, state: &mut dyn SnapshotState) {
        self.begin(state);
        while !self.write(state, usize::MAX) {}
        self.end(state, true);
    }

    /// Whoever wrote it is gone: what was begun is lost.
    pub fn abandon(&mut self) {
        self.open = None;
    }

    /// The state that the newest snapshot stands for: newer entries over older ones, of several in one the first, without what is
    /// gone or has expired.
    pub fn merged(&self) -> Merged {
        let mut merged = Merged::new();
        self.each(|section, key, value| {
            merged.insert((section, key), value.to_vec());
        });
        merged
    }

    /// Takes the newest snapshot in: entry by entry as written, the newest run first, section 0 before the others.
    ///
    /// # Errors
    /// What the state says.
    pub fn restore(&self, state: &mut dyn SnapshotState) -> Result<(), RestoreError> {
        restore(&self.merged(), state)
    }

    /// The same without sorting out first which entries hold: the state is given every one that is not gone and must know which is
    /// the first.
    ///
    /// # Errors
    /// What the state says.
    pub fn restore_unsorted(&self, state: &mut dyn SnapshotState) -> Result<(), RestoreError> {
        let mut gone = BTreeSet::new();
        let mut entries: Vec<_> = self.kept.iter().rev().flat_map(|run| &run.entries).collect();
        entries.sort_by_key(|(section, _, _)| *section != 0);
        let mut seen = BTreeSet::new();
        for (section, key, value) in entries {
            let is_first = seen.insert((*section, *key));
            match value {
                _ if gone.contains(&(*section, *key)) => {}
                Some(value) => state.restore(*section, *key, value)?,
                None if is_first => {
                    gone.insert((*section, *key));
                }
                None => {}
            }
        }
        state.restored()
    }

    fn each(&self, mut take: impl FnMut(u8, u128, &[u8])) {
        let Some(newest) = self.kept.last() else { return };
        let mut seen = BTreeSet::new();
        for (section, key, value) in self.kept.iter().rev().flat_map(|run| &run.entries) {
            if !seen.insert((*section, *key)) {
                continue;
            }
            let Some(value) = value else { continue };
            let expired = |floor: &(u8, u32)| {
                let number = value.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes));
                floor.0 == *section && number.is_some_and(|number| number < floor.1)
            };
            if !newest.floors.iter().any(expired) {
                take(*section, *key, value);
            }
        }
    }
}

/// Takes merged entries in.
///
/// # Errors
/// What the state says.
pub fn restore(merged: &Merged, state: &mut dyn SnapshotState) -> Result<(), RestoreError> {
    for ((section, key), value) in merged {
        state.restore(*section, *key, value)?;
    }
    state.restored()
}

/// Merged entries as one file, for fixtures: section (1 byte), key (16 bytes), length (4 bytes), all big-endian, and value.
pub fn to_bytes(merged: &Merged) -> Vec<u8> {
    let mut bytes = Vec::new();
    for ((section, key), value) in merged {
        bytes.push(*section);
        bytes.extend_from_slice(&key.to_be_bytes());
        bytes.extend_from_slice(&(value.len() as u32).to_be_bytes());
        bytes.extend_from_slice(value);
    }
    bytes
}

/// Reads what [`to_bytes`] wrote; `None` where it is something else.
pub fn from_bytes(mut bytes: &[u8]) -> Option<Merged> {
    let mut merged = Merged::new();
    while let Some((section, rest)) = bytes.split_first() {
        let (key, rest) = rest.split_first_chunk::<16>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        merged.insert((*section, u128::from_be_bytes(*key)), value.to_vec());
        bytes = rest;
    }
    Some(merged)
}

/// The task whose snapshots [`manifest`] and [`stored`] are about.
pub fn task() -> TaskName {
    TaskName { group: "stage".to_owned(), partition: 3 }
}

/// A manifest of [`task`] as of `offset`.
pub fn manifest(offset: u64) -> Manifest {
    Manifest {
        format: FORMAT,
        stage: "stage".to_owned(),
        logic_version: 1,
        topic: "in".to_owned(),
        topic_id: "id".to_owned(),
        partition: task().partition,
        offset,
        generation: 0,
        number: 0,
        written_at_ms: 0,
        about: BTreeMap::new(),
        small: None,
        runs: Vec::new(),
        floors: Vec::new(),
    }
}

/// The newest manifest of [`task`] in a store.
///
/// # Panics
/// Where there is none, or it cannot be read.
#[allow(clippy::expect_used, reason = "for tests")]
pub fn newest(store: &dyn SnapshotStore) -> Manifest {
    let name = store.list(&task().manifests()).expect("the store answers").pop().expect("there is a snapshot");
    Manifest::decode(&store.get(&name).expect("it is there")).expect("it is well-formed")
}

/// What the newest snapshot of [`task`] in a store holds.
///
/// # Errors
/// Where a file is missing or damaged.
pub fn stored(store: &dyn SnapshotStore) -> Result<Merged, Unusable> {
    let mut taken = Taken::default();
    restore_files(store, &newest(store), &mut taken)?;
    Ok(taken.0)
}

/// Takes entries in as they come: of several for one key the first is the newest.
#[derive(Default)]
struct Taken(Merged);

impl SnapshotState for Taken {
    fn track(&mut self) {}
    fn begin(&mut self) {}
    fn write(&mut self, _out: &mut Entries) -> bool {
        true
    }
    fn end(&mut self, _kept: bool) {}
    fn restore(&mut self, section: u8, key: u128, value: &[u8]) -> Result<(), RestoreError> {
        self.0.entry((section, key)).or_insert_with(|| value.to_vec());
        Ok(())
    }
    fn restored(&mut self) -> Result<(), RestoreError> {
        Ok(())
    }
    fn about(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}
