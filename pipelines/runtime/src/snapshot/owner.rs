//! Who writes a task's snapshots: the newest of its owners.

use super::names::{TaskName, number_of};
use super::store::{SnapshotStore, StoreError};

/// Tries to become the next owner while others do the same.
const TRIES: u32 = 64;

/// Generation of the newest owner; 0 where there was none.
///
/// # Errors
/// Where the store does not answer.
pub fn newest(store: &dyn SnapshotStore, task: &TaskName) -> Result<u64, StoreError> {
    Ok(store.list(&task.owners())?.iter().filter_map(|name| number_of(name)).max().unwrap_or(0))
}

/// Becomes the owner: whoever was it before publishes no more. `who` is noted for people.
///
/// # Errors
/// Where the store does not answer, or others win again and again.
pub fn claim(store: &dyn SnapshotStore, task: &TaskName, who: &str) -> Result<u64, StoreError> {
    let mut generation = newest(store, task)?;
    for _ in 0..TRIES {
        generation += 1;
        let name = task.owner(generation);
        match store.put_new(&name, who.as_bytes()) {
            Ok(()) => {
                for older in store.list(&task.owners())? {
                    if number_of(&older).is_some_and(|number| number < generation) {
                        store.delete(&older)?;
                    }
                }
                return Ok(generation);
            }
            Err(StoreError::Exists(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Err(StoreError::Unavailable(format!("{task} changes its owner too fast; is one instance name used twice?")))
}
