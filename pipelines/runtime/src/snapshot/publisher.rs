//! Writes snapshots to the store: files, then the manifest, then what is no longer needed goes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::blocks::pack;
use super::entries::Entries;
use super::file::{checksum, write_sorted};
use super::manifest::{FileRef, Manifest, Run};
use super::merge::{FILE_BYTES, MergeError, merge, runs_to_merge};
use super::names::TaskName;
use super::retention::Retention;
use super::store::{SnapshotStore, StoreError};

/// Names tried for a manifest, where owners before this one had written later ones.
const NUMBERS_TRIED: u64 = 16;

/// What the owner of a task goes on from.
#[derive(Debug, Clone, Default)]
pub struct Holding {
    /// Rises with every owner.
    pub generation: u64,
    /// Number of the last snapshot.
    pub number: u64,
    /// What the state was restored from.
    pub runs: Vec<Run>,
    /// As in the manifest.
    pub floors: Vec<(u8, u32)>,
}

/// Why a snapshot was not written.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The store failed: the next snapshot tries again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was written is not what is read: the next snapshot tries again.
    #[error("{0} is not what was written")]
    Changed(String),
    /// The task has another owner.
    #[error("generation {ours} of {task} has been succeeded by generation {newest}")]
    Fenced {
        /// The task.
        task: String,
        /// Ours.
        ours: u64,
        /// The owner's.
        newest: u64,
    },
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The snapshot's offset.
    pub offset: u64,
    /// Bytes of all its files, those that it shares with others included.
    pub bytes: u64,
    /// Bytes of those that it brought.
    pub new_bytes: u64,
}

/// A snapshot that is being written.
#[derive(Debug, Default)]
struct Open {
    small: Entries,
    /// What waits to fill a file.
    slices: Vec<Entries>,
    runs: Vec<Run>,
    floors: Vec<(u8, u32)>,
    failed: Option<PublishError>,
}

#[derive(Debug)]
struct Files {
    holding: Holding,
    /// Data files written by this owner.
    written: u64,
    open: Open,
}

/// The writing end of a store. Not thread-safe by itself: one thread has it.
pub struct Publisher {
    store: Arc<dyn SnapshotStore>,
    retention: Retention,
    tasks: BTreeMap<TaskName, Files>,
}

impl Publisher {
    /// A publisher without tasks; a day's last snapshot is kept for `keep_days`.
    pub fn new(store: Arc<dyn SnapshotStore>, keep_days: u32) -> Self {
        Self { store, retention: Retention::new(keep_days), tasks: BTreeMap::new() }
    }

    /// Takes a task over.
    pub fn adopt(&mut self, task: TaskName, holding: Holding) {
        self.tasks.insert(task, Files { holding, written: 0, open: Open::default() });
    }

    /// Lets go of a task, unless an owner of a later generation has it.
    pub fn release(&mut self, task: &TaskName, generation: u64) {
        if self.tasks.get(task).is_some_and(|files| files.holding.generation <= generation) {
            self.tasks.remove(task);
        }
    }

    /// Stores entries of the task's next snapshot; a failure is told when it is finished.
    pub fn write(&mut self, task: &TaskName, mut entries: Entries) {
        let Some(files) = self.tasks.get_mut(task) else { return };
        files.open.floors.append(&mut entries.floors);
        let entries = entries.split_off_small(&mut files.open.small);
        if entries.is_empty() || files.open.failed.is_some() {
            return;
        }
        files.open.slices.push(entries);
        if files.open.slices.iter().map(Entries::size_bytes).sum::<usize>() >= FILE_BYTES {
            files.write_slices(&*self.store, task);
        }
    }

    /// Everything was written: the manifest makes it a snapshot. `manifest` says whose; files, generation and number are filled in.
    ///
    /// # Errors
    /// Where it is not there, or nobody can say so. What was written of it is forgotten.
    pub fn finish(&mut self, task: &TaskName, manifest: Manifest) -> Result<Published, PublishError> {
        let Some(files) = self.tasks.get_mut(task) else {
            return Err(StoreError::Missing(task.to_string()).into());
        };
        let published = files.finish(&*self.store, task, manifest)?;
        if let Err(error) = files.tidy(&*self.store, task) {
            tracing::warn!(%task, %error, "snapshot files were not merged; tried again after the next snapshot");
        }
        self.retention.apply(&*self.store, task, files.holding.generation, files.holding.number);
        Ok(published)
    }
}

impl Files {
    fn put(
        &mut self,
        store: &dyn SnapshotStore,
        task: &TaskName,
        entries: &[u8],
        count: u64,
    ) -> Result<FileRef, StoreError> {
        let bytes = pack(entries);
        let name = task.data_file(self.holding.generation, self.holding.number + 1, self.written);
        self.written += 1;
        match store.put_new(&name, &bytes) {
            // The answer to an earlier try was lost. Names are ours alone; read back before the manifest.
            Ok(()) | Err(StoreError::Exists(_)) => {}
            Err(error) => return Err(error),
        }
        let checksum = format!("{:032x}", checksum(&bytes));
        Ok(FileRef { name, bytes: bytes.len() as u64, entries: count, checksum })
    }

    fn write_slices(&mut self, store: &dyn SnapshotStore, task: &TaskName) {
        let slices = std::mem::take(&mut self.open.slices);
        if slices.is_empty() {
            return;
        }
        let (bytes, count) = write_sorted(&slices);
        match self.put(store, task, &bytes, count) {
            Ok(file) => self.open.runs.push(Run { files: vec![file] }),
            Err(error) => self.open.failed = Some(error.into()),
        }
    }

    fn finish(
        &mut self,
        store: &dyn SnapshotStore,
        task: &TaskName,
        manifest: Manifest,
    ) -> Result<Published, PublishError> {
        self.write_slices(store, task);
        let mut open = std::mem::take(&mut self.open);
        if let Some(failed) = open.failed.take() {
            return Err(failed);
        }
        let (small, count) = write_sorted(std::slice::from_ref(&open.small));
        let small = (count > 0).then(|| self.put(store, task, &small, count)).transpose()?;
        let new = || small.iter().chain(open.runs.iter().flat_map(|run| &run.files));
        for file in new() {
            let bytes = store.get(&file.name)?;
            if format!("{:032x}", checksum(&bytes)) != file.checksum {
                return Err(PublishError::Changed(file.name.clone()));
            }
        }
        let new_bytes = new().map(|file| file.bytes).sum();
        let mut floors = self.holding.floors.clone();
        for (section, least) in open.floors {
            floors.retain(|(other, _)| *other != section);
            floors.push((section, least));
        }
        let runs: Vec<Run> = open.runs.into_iter().chain(self.holding.runs.iter().cloned()).collect();
        let generation = self.holding.generation;
        let manifest = Manifest { generation, small, runs, floors, ..manifest };
        let number = self.put_manifest(store, task, &manifest)?;
        let published = Published { offset: manifest.offset, bytes: manifest.bytes(), new_bytes };
        self.holding = Holding { generation, number, runs: manifest.runs, floors: manifest.floors };
        Ok(published)
    }

    /// Stores the manifest under the first free number. Whoever wins that name goes on; an owner that has been succeeded does not.
    fn put_manifest(
        &self,
        store: &dyn SnapshotStore,
        task: &TaskName,
        manifest: &Manifest,
    ) -> Result<u64, PublishError> {
        let ours = manifest.generation;
        let fenced = |newest| PublishError::Fenced { task: task.to_string(), ours, newest };
        let newest = super::owner::newest(store, task)?;
        if newest > ours {
            return Err(fenced(newest));
        }
        let first = self.holding.number + 1;
        for number in first..first + NUMBERS_TRIED {
            let name = task.manifest(number);
            let bytes = Manifest { number, ..manifest.clone() }.encode();
            match store.put_new(&name, &bytes) {
                Ok(()) => return Ok(number),
                Err(StoreError::Exists(_)) => {
                    let there = store.get(&name)?;
                    if there == bytes {
                        // Ours, whose answer was lost.
                        return Ok(number);
                    }
                    // One who was succeeded may still have written this; nobody who succeeded us may have.
                    match Manifest::decode(&there) {
                        Ok(other) if other.generation > ours => return Err(fenced(other.generation)),
                        _ => {}
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Exists(task.manifest(first)).into())
    }

    /// Merges runs where that is worth it. The result is part of the next snapshot.
    fn tidy(&mut self, store: &dyn SnapshotStore, task: &TaskName) -> Result<(), MergeError> {
        let Some(count) = runs_to_merge(&self.holding.runs) else { return Ok(()) };
        let runs: Vec<Run> = self.holding.runs.iter().take(count).cloned().collect();
        let is_last = count == self.holding.runs.len();
        let floors = self.holding.floors.clone();
        let merged = merge(store, &runs, &floors, is_last, |entries, count| self.put(store, task, entries, count))?;
        self.holding.runs.splice(..count, (!merged.files.is_empty()).then_some(merged));
        Ok(())
    }
}
