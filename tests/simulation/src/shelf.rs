//! Where snapshots are kept, with a store's troubles: calls that fail, that are done and said to have failed, that last; objects that
//! are damaged or gone.

use std::collections::BTreeSet;
use std::sync::Arc;

use millstream_runtime::SnapshotStore;
use millstream_runtime::snapshot::{Manifest, MemorySnapshots, StoreError, TaskName};

use crate::random::Random;
use crate::tally::Strike;
use crate::world::World;

type Result<T> = std::result::Result<T, StoreError>;

/// One worker's way to the store.
pub struct ShelfLine {
    /// The world.
    pub world: Arc<World>,
    /// The worker's slot; `None` for one that cannot be interrupted, because it holds a lock that its process's worker needs.
    pub slot: Option<usize>,
}

impl ShelfLine {
    fn point(&self) {
        if let Some(slot) = self.slot {
            self.world.point(slot);
        }
    }

    /// A call begins. It takes time, so that who tries again and again comes to an end.
    fn call(&self) -> Result<()> {
        self.world.clock.advance(1);
        self.point();
        match self.world.draw_store_fault(Strike::StoreFailed) {
            true => Err(StoreError::Unavailable("no answer".to_owned())),
            false => Ok(()),
        }
    }
}

impl SnapshotStore for ShelfLine {
    fn put_new(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.call()?;
        self.world.shelf.put_new(name, bytes)?;
        self.point();
        match self.world.draw_store_fault(Strike::StoredButFailed) {
            true => Err(StoreError::Unavailable("the answer was lost".to_owned())),
            false => Ok(()),
        }
    }

    fn get(&self, name: &str) -> Result<Vec<u8>> {
        self.call()?;
        self.world.shelf.get(name)
    }

    fn get_range(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>> {
        self.call()?;
        self.world.shelf.get_range(name, offset, length)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.call()?;
        self.world.shelf.list(prefix)
    }

    fn delete(&self, name: &str) -> Result<()> {
        self.call()?;
        self.world.shelf.delete(name)
    }
}

/// The snapshots of a task, the newest first: manifest's name and manifest.
fn snapshots_of(shelf: &MemorySnapshots, task: &TaskName) -> Vec<(String, Manifest)> {
    let names = shelf.list(&task.manifests()).unwrap_or_default();
    let read = |name: String| {
        let manifest = Manifest::decode(&shelf.get(&name).ok()?).ok()?;
        Some((name, manifest))
    };
    let mut found: Vec<(String, Manifest)> = names.into_iter().filter_map(read).collect();
    found.sort_by_key(|(_, manifest)| std::cmp::Reverse(manifest.number));
    found
}

/// Up to where a task's input may go: whichever of its two newest snapshots recovery takes, it begins no earlier.
pub fn needless_below(shelf: &MemorySnapshots, task: &TaskName) -> Option<u64> {
    let found = snapshots_of(shelf, task);
    if found.len() < 2 {
        return None;
    }
    found.iter().take(2).map(|(_, manifest)| manifest.offset).min()
}

/// Damages or removes an object of a task's newest snapshot. Returns whether there was one.
pub fn harm(shelf: &MemorySnapshots, task: &TaskName, random: &mut Random) -> bool {
    let found = snapshots_of(shelf, task);
    let Some((name, manifest)) = found.first() else { return false };
    let mut objects: BTreeSet<&str> = manifest.files().map(|file| file.name.as_str()).collect();
    objects.insert(name);
    let objects: Vec<&str> = objects.into_iter().collect();
    let object = *random.pick(&objects);
    match random.below(3) {
        // One that is gone is no error of the store in memory.
        0 => drop(shelf.delete(object)),
        1 => shelf.damage(object, |bytes| bytes.truncate(bytes.len() / 2)),
        _ => {
            let at = random.next();
            shelf.damage(object, |bytes| {
                let length = bytes.len() as u64;
                if let Some(byte) = bytes.get_mut((at % length.max(1)) as usize) {
                    *byte ^= 1;
                }
            });
        }
    }
    true
}
