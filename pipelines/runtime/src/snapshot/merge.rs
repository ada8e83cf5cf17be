//! Runs merged into one, so that recovery reads little more than what is there.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use xxhash_rust::xxh3::Xxh3;

use super::blocks::Unpacker;
use super::file::{FileEntry, read_entry};
use super::manifest::{FileRef, Run};
use super::store::{SnapshotStore, StoreError};

/// The entries of a data file are about this long, unpacked.
pub const FILE_BYTES: usize = 16 << 20;
/// Read at a time of each run.
const READ_BYTES: usize = 256 << 10;
/// More runs are merged whatever their sizes.
const MOST_RUNS: usize = 24;
/// Fewer are not worth it.
const FEWEST_RUNS: usize = 4;

/// Why runs could not be merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file is damaged.
    #[error("{0} is damaged")]
    Damaged(String),
}

/// How many of the newest runs to merge; `None` where that is not worth it. Each entry is merged about as often as the whole is twice
/// as long as what it is merged with, so a few times in all.
pub fn runs_to_merge(runs: &[Run]) -> Option<usize> {
    let mut merged_bytes = 0;
    let mut count = 0;
    for (at, run) in runs.iter().enumerate() {
        if at > 0 && at + MOST_RUNS / 2 < runs.len() && runs.len() > MOST_RUNS {
            // Too many: at least half of them.
        } else if at > 0 && run.bytes() > 2 * merged_bytes {
            break;
        }
        merged_bytes += run.bytes();
        count = at + 1;
    }
    (count >= FEWEST_RUNS).then_some(count)
}

/// One run as it is read.
struct Source<'a> {
    store: &'a dyn SnapshotStore,
    files: VecDeque<&'a FileRef>,
    /// What was read and unpacked of the first file and not yet used.
    bytes: Vec<u8>,
    used: usize,
    unpacker: Unpacker,
    read_bytes: u64,
    sum: Xxh3,
}

impl<'a> Source<'a> {
    fn new(store: &'a dyn SnapshotStore, run: &'a Run) -> Self {
        Self {
            store,
            files: run.files.iter().collect(),
            bytes: Vec::new(),
            used: 0,
            unpacker: Unpacker::default(),
            read_bytes: 0,
            sum: Xxh3::new(),
        }
    }

    fn left(&self) -> &[u8] {
        self.bytes.get(self.used..).unwrap_or_default()
    }

    /// Reads on in the first file. False where it has ended.
    fn fill(&mut self) -> Result<bool, MergeError> {
        let Some(file) = self.files.front() else { return Ok(false) };
        if self.read_bytes == file.bytes {
            return Ok(false);
        }
        let more = self.store.get_range(&file.name, self.read_bytes, READ_BYTES)?;
        if more.is_empty() {
            return Err(MergeError::Damaged(file.name.clone()));
        }
        self.bytes.drain(..self.used);
        self.used = 0;
        self.sum.update(&more);
        self.read_bytes += more.len() as u64;
        self.unpacker.push(&more, &mut self.bytes).map_err(|_| MergeError::Damaged(file.name.clone()))?;
        Ok(true)
    }

    /// Makes the next entry whole. False where the run has ended.
    fn advance(&mut self) -> Result<bool, MergeError> {
        loop {
            if self.files.is_empty() {
                return Ok(false);
            }
            if read_entry(self.left()).is_some() {
                return Ok(true);
            }
            if !self.fill()? {
                self.end_file()?;
            }
        }
    }

    fn end_file(&mut self) -> Result<(), MergeError> {
        let is_whole = self.left().is_empty()
            && self.unpacker.is_whole()
            && self.files.front().is_some_and(|file| file.checksum == format!("{:032x}", self.sum.digest128()));
        if !is_whole {
            return Err(self.damaged());
        }
        self.files.pop_front();
        (self.bytes, self.used, self.read_bytes, self.sum) = (Vec::new(), 0, 0, Xxh3::new());
        self.unpacker = Unpacker::default();
        Ok(())
    }

    fn damaged(&self) -> MergeError {
        MergeError::Damaged(self.files.front().map(|file| file.name.clone()).unwrap_or_default())
    }

    /// The entry that [`Source::advance`] made whole.
    fn entry(&self) -> Option<FileEntry<'_>> {
        read_entry(self.left()).map(|(entry, _)| entry)
    }

    fn skip(&mut self) {
        let length = self.entry().map_or(0, |entry| entry.size_bytes());
        self.used += length;
    }
}

/// Merges runs, the newest first, into files that `write` stores; it is given the bytes and the number of their entries. With `is_last` nothing
/// older is left, so what is gone need not be mentioned any more.
///
/// # Errors
/// Where a file cannot be read, is damaged, or `write` fails.
pub fn merge(
    store: &dyn SnapshotStore,
    runs: &[Run],
    floors: &[(u8, u32)],
    is_last: bool,
    mut write: impl FnMut(&[u8], u64) -> Result<FileRef, StoreError>,
) -> Result<Run, MergeError> {
    let mut sources: Vec<Source<'_>> = runs.iter().map(|run| Source::new(store, run)).collect();
    let mut next = BinaryHeap::new();
    for (at, source) in sources.iter_mut().enumerate() {
        if source.advance()? {
            next.extend(source.entry().map(|entry| Reverse((entry.place(), at))));
        }
    }
    let mut merged = Run::default();
    let (mut bytes, mut entries) = (Vec::new(), 0);
    let mut last = None;
    while let Some(Reverse((place, at))) = next.pop() {
        let Some(source) = sources.get_mut(at) else { continue };
        if let Some(entry) = source.entry()
            && last != Some(place)
        {
            last = Some(place);
            if !(entry.is_expired(floors) || is_last && entry.value.is_none()) {
                entry.write(&mut bytes);
                entries += 1;
            }
        }
        source.skip();
        if source.advance()? {
            next.extend(source.entry().map(|entry| Reverse((entry.place(), at))));
        }
        if bytes.len() >= FILE_BYTES {
            merged.files.push(write(&bytes, std::mem::take(&mut entries))?);
            bytes.clear();
        }
    }
    if entries > 0 {
        merged.files.push(write(&bytes, entries)?);
    }
    Ok(merged)
}
