//! A task's state as of an offset at or before the committed one.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::blocks::unpack;
use super::file::{FileError, checksum, read_all};
use super::manifest::{FileRef, Manifest, ManifestError};
use super::names::{TaskName, number_of};
use super::owner;
use super::publisher::Holding;
use super::state::{RestoreError, SnapshotState};
use super::store::{SnapshotStore, StoreError};
use crate::stage::{Stage, StageFactory};

/// Why a snapshot cannot be used; an older one may do.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// An object is missing.
    #[error(transparent)]
    Store(StoreError),
    /// Its manifest cannot be read.
    #[error("its manifest: {0}")]
    Manifest(#[from] ManifestError),
    /// One of its files is damaged.
    #[error("file {name}: {error}")]
    File {
        /// The file.
        name: String,
        /// What is wrong.
        error: FileError,
    },
    /// The stage does not understand it.
    #[error("file {name}: {error}")]
    Entry {
        /// The file.
        name: String,
        /// What is wrong.
        error: RestoreError,
    },
    /// Its entries contradict each other.
    #[error("its entries: {0}")]
    Entries(RestoreError),
    /// It is of another topic or stage.
    #[error("it is of {0}, not of this task's input: was the topic made anew?")]
    OtherInput(String),
    /// It is newer than what is committed.
    #[error("it is of offset {0}, which is not committed")]
    NotCommitted(u64),
    /// The log no longer reaches back to it.
    #[error("it is of offset {offset}, and the input now begins at {earliest}")]
    BeforeLog {
        /// Its offset.
        offset: u64,
        /// The earliest offset left.
        earliest: u64,
    },
}

/// Why a task cannot be recovered.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The store does not answer; worth retrying.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What lies between the snapshot and the committed offset was processed by another logic.
    #[error(
        "records from offset {offset} up to the committed {committed} were processed by logic version {theirs}, this program has {ours}: \
         they must be replayed by the program that processed them; run `millstream drain` with that one, then start this one"
    )]
    LogicChanged {
        /// The snapshot's offset.
        offset: u64,
        /// The committed offset.
        committed: u64,
        /// The snapshot's logic version.
        theirs: u32,
        /// This program's.
        ours: u32,
    },
    /// There is neither a snapshot nor the whole log.
    #[error(
        "no snapshot can be used ({reasons}), and the input begins at offset {earliest} although {committed} is committed; nothing is \
         started with an emptier state: restore the snapshot store, or rebuild into a new namespace with `millstream replay`"
    )]
    Lost {
        /// The earliest offset left.
        earliest: u64,
        /// The committed offset.
        committed: u64,
        /// Why not the snapshots.
        reasons: String,
    },
}

/// Where a task stands in its input.
#[derive(Debug, Clone)]
pub struct Position {
    /// What tells the input topic from another one of its name.
    pub topic_id: String,
    /// Input partition.
    pub partition: u32,
    /// The group's committed offset.
    pub committed: u64,
    /// By which logic what lies before it was processed, where that is known.
    pub logic_version: Option<u32>,
    /// The earliest offset still in the log.
    pub earliest: u64,
}

/// A recovered task.
pub struct Recovered {
    /// Its stage.
    pub stage: Box<dyn Stage>,
    /// The next offset to process.
    pub start: u64,
    /// What its next snapshot builds on.
    pub holding: Holding,
    /// The snapshot it was restored from.
    pub from: Option<Manifest>,
}

/// Becomes the owner of a task's snapshots and recovers it from the newest one that can be used, else from the whole log.
///
/// # Errors
/// Where neither is possible.
pub fn recover(
    store: &dyn SnapshotStore,
    task: &TaskName,
    who: &str,
    factory: &Arc<dyn StageFactory>,
    position: &Position,
) -> Result<Recovered, RecoveryError> {
    // Claimed before looking: nobody else publishes from here on.
    let generation = owner::claim(store, task, who)?;
    let number = newest_number(store, task)?;
    let (found, reasons) = newest_usable(store, task, factory, position)?;
    if let Some((stage, manifest)) = found {
        let holding = Holding { generation, number, runs: manifest.runs.clone(), floors: manifest.floors.clone() };
        return Ok(Recovered { stage, start: manifest.offset, holding, from: Some(manifest) });
    }
    let Position { committed, earliest, .. } = *position;
    if earliest > 0 && committed > 0 {
        // Whoever claims the task after us publishes and tidies up: what was listed here may have gone while it was read, and nothing
        // is lost at all.
        if owner::newest(store, task)? != generation {
            let why = format!("another process became the owner of {task} while its snapshots were read");
            return Err(StoreError::Unavailable(why).into());
        }
        let reasons = if reasons.is_empty() { "there is none".to_owned() } else { reasons.join("; ") };
        return Err(RecoveryError::Lost { earliest, committed, reasons });
    }
    let ours = factory.logic_version();
    if let Some(theirs) = position.logic_version.filter(|theirs| *theirs != ours && committed > 0) {
        return Err(RecoveryError::LogicChanged { offset: earliest, committed, theirs, ours });
    }
    let mut stage = factory.make(position.partition);
    if let Some(state) = stage.snapshots() {
        state.track();
    }
    let holding = Holding { generation, number, ..Holding::default() };
    Ok(Recovered { stage, start: earliest, holding, from: None })
}

/// Becomes the owner of a task's snapshots with a state that was kept warm. Its next snapshot builds on the newest one: what the state
/// notes as changed is all that has changed since an older one.
///
/// # Errors
/// Where the store does not answer.
pub fn adopt(
    store: &dyn SnapshotStore,
    task: &TaskName,
    who: &str,
    factory: &Arc<dyn StageFactory>,
    position: &Position,
) -> Result<Option<Holding>, RecoveryError> {
    let generation = owner::claim(store, task, who)?;
    let number = newest_number(store, task)?;
    let Some(name) = names_newest_first(store, task)?.into_iter().next() else { return Ok(None) };
    Ok(match look(store, &name, factory, position) {
        Ok(Manifest { runs, floors, .. }) => Some(Holding { generation, number, runs, floors }),
        Err(_) => None,
    })
}

fn names_newest_first(store: &dyn SnapshotStore, task: &TaskName) -> Result<Vec<String>, StoreError> {
    let mut names = store.list(&task.manifests())?;
    names.sort_by_key(|name| std::cmp::Reverse(number_of(name)));
    Ok(names)
}

fn newest_number(store: &dyn SnapshotStore, task: &TaskName) -> Result<u64, StoreError> {
    Ok(names_newest_first(store, task)?.iter().filter_map(|name| number_of(name)).max().unwrap_or(0))
}

/// The newest snapshot that can be used, restored, where there is one; and why not the newer ones.
///
/// # Errors
/// Where the store does not answer, or the snapshot may not be used by this program.
pub fn newest_usable(
    store: &dyn SnapshotStore,
    task: &TaskName,
    factory: &Arc<dyn StageFactory>,
    position: &Position,
) -> Result<(Option<Restored>, Vec<String>), RecoveryError> {
    let mut reasons = Vec::new();
    for name in names_newest_first(store, task)? {
        match use_snapshot(store, &name, factory, position)? {
            Ok(used) => return Ok((Some(used), reasons)),
            Err(Unusable::Store(StoreError::Unavailable(why))) => return Err(StoreError::Unavailable(why).into()),
            Err(why) => {
                tracing::warn!(snapshot = name, %why, "a snapshot cannot be used; looking for an older one");
                reasons.push(format!("{name}: {why}"));
            }
        }
    }
    Ok((None, reasons))
}

/// A stage with the state of a snapshot, and that snapshot.
pub type Restored = (Box<dyn Stage>, Manifest);

type Used = Result<Restored, Unusable>;

/// The outer error ends the recovery, the inner one leads to an older snapshot.
fn use_snapshot(
    store: &dyn SnapshotStore,
    name: &str,
    factory: &Arc<dyn StageFactory>,
    position: &Position,
) -> Result<Used, RecoveryError> {
    let manifest = match look(store, name, factory, position) {
        Ok(manifest) => manifest,
        Err(why) => return Ok(Err(why)),
    };
    let ours = factory.logic_version();
    // The snapshot's, and that of the last commit: a newer program may have gone on from this snapshot before it was rolled back.
    let processed_by = [Some(manifest.logic_version), position.logic_version];
    if let Some(theirs) = processed_by.into_iter().flatten().find(|theirs| *theirs != ours)
        && manifest.offset < position.committed
    {
        let (offset, committed) = (manifest.offset, position.committed);
        return Err(RecoveryError::LogicChanged { offset, committed, theirs, ours });
    }
    let mut stage = factory.make(position.partition);
    let Some(state) = stage.snapshots() else { return Ok(Err(Unusable::OtherInput(manifest.stage))) };
    state.track();
    Ok(restore(store, &manifest, state).map(|()| (stage, manifest)))
}

fn look(
    store: &dyn SnapshotStore,
    name: &str,
    factory: &Arc<dyn StageFactory>,
    position: &Position,
) -> Result<Manifest, Unusable> {
    let manifest = Manifest::decode(&store.get(name).map_err(Unusable::Store)?)?;
    let is_ours = manifest.stage == factory.name()
        && manifest.topic_id == position.topic_id
        && manifest.partition == position.partition;
    if !is_ours {
        let Manifest { stage, topic, topic_id, partition, .. } = manifest;
        return Err(Unusable::OtherInput(format!("{stage} over {topic}[{partition}] with id {topic_id}")));
    }
    if manifest.offset > position.committed {
        return Err(Unusable::NotCommitted(manifest.offset));
    }
    if manifest.offset < position.earliest && manifest.offset < position.committed {
        return Err(Unusable::BeforeLog { offset: manifest.offset, earliest: position.earliest });
    }
    Ok(manifest)
}

/// Takes a snapshot's entries into an empty state.
///
/// # Errors
/// Where a file is missing or damaged, or the state refuses an entry; the state is then of no use.
pub fn restore(store: &dyn SnapshotStore, manifest: &Manifest, state: &mut dyn SnapshotState) -> Result<(), Unusable> {
    let mut gone = BTreeSet::new();
    for file in manifest.files() {
        let damaged = |error| Unusable::File { name: file.name.clone(), error };
        let packed = read_file(store, file)?;
        let bytes = unpack(&packed).map_err(damaged)?;
        for entry in read_all(&bytes) {
            let entry = entry.map_err(damaged)?;
            if entry.is_expired(&manifest.floors) || !gone.is_empty() && gone.contains(&entry.place()) {
                continue;
            }
            match entry.value {
                None => {
                    gone.insert(entry.place());
                }
                Some(value) => state
                    .restore(entry.section, entry.key, value)
                    .map_err(|error| Unusable::Entry { name: file.name.clone(), error })?,
            }
        }
    }
    state.restored().map_err(Unusable::Entries)
}

fn read_file(store: &dyn SnapshotStore, file: &FileRef) -> Result<Vec<u8>, Unusable> {
    let bytes = store.get(&file.name).map_err(Unusable::Store)?;
    let sum = checksum(&bytes);
    if bytes.len() as u64 != file.bytes || format!("{sum:032x}") != file.checksum {
        let error = FileError::Changed {
            bytes: bytes.len() as u64,
            checksum: sum,
            expected_bytes: file.bytes,
            expected_checksum: file.checksum.clone(),
        };
        return Err(Unusable::File { name: file.name.clone(), error });
    }
    Ok(bytes)
}
