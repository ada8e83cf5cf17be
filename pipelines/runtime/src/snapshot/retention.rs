//! Which snapshots are kept: the two newest, and the last one of each day for as long as input can be replayed.

use std::collections::{BTreeMap, BTreeSet};

use super::manifest::{Manifest, ManifestError};
use super::names::{TaskName, number_of, written_for};
use super::store::{SnapshotStore, StoreError};

const DAY_MS: i64 = 86_400_000;
/// The newest ones, kept whatever their day.
const NEWEST_KEPT: usize = 2;

/// What is known of a manifest.
#[derive(Debug, Clone)]
struct Known {
    day: i64,
    files: BTreeSet<String>,
}

/// Removes snapshots that are no longer needed.
#[derive(Debug)]
pub(super) struct Retention {
    keep_days: u32,
    known: BTreeMap<String, Known>,
}

impl Retention {
    pub fn new(keep_days: u32) -> Self {
        Self { keep_days, known: BTreeMap::new() }
    }

    /// Removes manifests, then files that none names. Where it fails it is tried again after the next snapshot.
    pub fn apply(&mut self, store: &dyn SnapshotStore, task: &TaskName, generation: u64, number: u64) {
        if let Err(error) = self.try_apply(store, task, generation, number) {
            tracing::warn!(%task, %error, "old snapshots were not removed; tried again after the next one");
        }
    }

    fn try_apply(
        &mut self,
        store: &dyn SnapshotStore,
        task: &TaskName,
        generation: u64,
        number: u64,
    ) -> Result<(), StoreError> {
        let mut names = store.list(&task.manifests())?;
        names.sort_by_key(|name| std::cmp::Reverse(number_of(name)));
        // Listed after the manifests: what those name was there before them.
        let data: BTreeSet<String> = store.list(&task.data())?.into_iter().collect();
        let mut needed = BTreeSet::new();
        let mut days = BTreeSet::new();
        let mut today = i64::MIN;
        let mut good = 0;
        for name in &names {
            let known = match self.look(store, name)? {
                Ok(known) => known,
                // Of no use to anybody, and it must not count as one of the two newest.
                Err(ManifestError::Changed) => {
                    store.delete(name)?;
                    continue;
                }
                // A newer program wrote it, and nobody here knows what it needs: nothing is removed.
                Err(ManifestError::Format(_) | ManifestError::Malformed(_)) => return Ok(()),
            };
            if !known.files.is_subset(&data) {
                tracing::warn!(snapshot = name, "a snapshot lacks files and counts no more");
                store.delete(name)?;
                self.known.remove(name);
                continue;
            }
            today = today.max(known.day);
            let is_days_last = days.insert(known.day) && today - known.day <= i64::from(self.keep_days);
            good += 1;
            if good <= NEWEST_KEPT || is_days_last {
                needed.extend(known.files.iter().cloned());
            } else {
                store.delete(name)?;
                self.known.remove(name);
            }
        }
        for name in data {
            // What a later owner writes, or what the next snapshot will name, is not ours to judge.
            let is_settled = written_for(&name).is_some_and(|(by, towards)| (by, towards) <= (generation, number));
            if is_settled && !needed.contains(&name) {
                store.delete(&name)?;
            }
        }
        Ok(())
    }

    fn look(&mut self, store: &dyn SnapshotStore, name: &str) -> Result<Result<Known, ManifestError>, StoreError> {
        if let Some(known) = self.known.get(name) {
            return Ok(Ok(known.clone()));
        }
        let manifest = match Manifest::decode(&store.get(name)?) {
            Ok(manifest) => manifest,
            Err(error) => return Ok(Err(error)),
        };
        let files = manifest.files().map(|file| file.name.clone()).collect();
        let known = Known { day: manifest.written_at_ms.div_euclid(DAY_MS), files };
        self.known.insert(name.to_owned(), known.clone());
        Ok(Ok(known))
    }
}
