//! Where snapshots are kept: named objects that are written once.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// Why a store could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// An object of that name is there already.
    #[error("object {0} exists already")]
    Exists(String),
    /// There is no object of that name.
    #[error("object {0} is missing")]
    Missing(String),
    /// The store does not answer, or refuses; worth retrying.
    #[error("the snapshot store cannot be used: {0}")]
    Unavailable(String),
}

/// Named objects that never change. Names are paths with `/`.
///
/// That [`SnapshotStore::put_new`] lets exactly one of several writers win is what fences: two processes that both believe to own a task
/// try to write the same name.
pub trait SnapshotStore: Send + Sync {
    /// Writes an object; durable when it returns.
    ///
    /// # Errors
    /// [`StoreError::Exists`] where one of that name is there, also where this very call had written it before its answer was lost.
    fn put_new(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError>;

    /// The whole object.
    ///
    /// # Errors
    /// [`StoreError::Missing`] where there is none.
    fn get(&self, name: &str) -> Result<Vec<u8>, StoreError>;

    /// Up to `length` bytes from `offset` on; fewer where the object ends.
    ///
    /// # Errors
    /// [`StoreError::Missing`] where there is none.
    fn get_range(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, StoreError>;

    /// Names that begin with `prefix`, sorted.
    ///
    /// # Errors
    /// Where the store does not answer.
    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError>;

    /// Removes an object; one that is gone already is no error.
    ///
    /// # Errors
    /// Where the store does not answer.
    fn delete(&self, name: &str) -> Result<(), StoreError>;
}

/// Objects in memory, for tests and simulation. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemorySnapshots {
    objects: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl MemorySnapshots {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Changes an object behind everybody's back; what a test calls damage.
    pub fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(bytes) = self.objects.lock().get_mut(name) {
            change(bytes);
        }
    }
}

impl SnapshotStore for MemorySnapshots {
    fn put_new(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let mut objects = self.objects.lock();
        if objects.contains_key(name) {
            return Err(StoreError::Exists(name.to_owned()));
        }
        objects.insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        self.objects.lock().get(name).cloned().ok_or_else(|| StoreError::Missing(name.to_owned()))
    }

    fn get_range(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        let objects = self.objects.lock();
        let bytes = objects.get(name).ok_or_else(|| StoreError::Missing(name.to_owned()))?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let end = start.saturating_add(length).min(bytes.len());
        Ok(bytes[start..end].to_vec())
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        Ok(self.objects.lock().keys().filter(|name| name.starts_with(prefix)).cloned().collect())
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.objects.lock().remove(name);
        Ok(())
    }
}
