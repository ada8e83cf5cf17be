//! Snapshots in a local folder.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::store::{SnapshotStore, StoreError};

/// Ending of a file that is not whole yet.
const UNFINISHED: &str = ".part";

/// A folder of files, synced before they count as written. Several processes of one machine may use it.
#[derive(Debug)]
pub struct SnapshotFolder {
    root: PathBuf,
    written: AtomicU64,
}

impl SnapshotFolder {
    /// The folder; it is made with the first object.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), written: AtomicU64::new(0) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn write_new(&self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        let path = self.path(name);
        let folder = path.parent().unwrap_or(&self.root).to_owned();
        fs::create_dir_all(&folder)?;
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let unfinished = folder.join(format!("{}-{number}{UNFINISHED}", std::process::id()));
        let written = File::create(&unfinished).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
        // A link is made only where there is none of that name: of two writers one wins.
        let linked = written.and_then(|()| fs::hard_link(&unfinished, &path));
        let removed = fs::remove_file(&unfinished);
        linked.and(removed)?;
        File::open(&folder)?.sync_all()
    }

    fn names(&self, folder: &Path, into: &mut Vec<String>) -> std::io::Result<()> {
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                self.names(&path, into)?;
            } else if let Ok(name) = path.strip_prefix(&self.root) {
                into.push(name.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/"));
            }
        }
        Ok(())
    }

    fn error(&self, name: &str, error: &std::io::Error) -> StoreError {
        match error.kind() {
            ErrorKind::NotFound => StoreError::Missing(name.to_owned()),
            ErrorKind::AlreadyExists => StoreError::Exists(name.to_owned()),
            _ => StoreError::Unavailable(format!("{}: {error}", self.path(name).display())),
        }
    }
}

impl SnapshotStore for SnapshotFolder {
    fn put_new(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.write_new(name, bytes).map_err(|error| self.error(name, &error))
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        fs::read(self.path(name)).map_err(|error| self.error(name, &error))
    }

    fn get_range(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        let read = || {
            let mut file = File::open(self.path(name))?;
            file.seek(SeekFrom::Start(offset))?;
            let mut bytes = Vec::with_capacity(length);
            file.take(length as u64).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().map_err(|error| self.error(name, &error))
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        // Only the folder that the prefix names is looked at.
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut names = Vec::new();
        self.names(&self.path(folder), &mut names).map_err(|error| self.error(prefix, &error))?;
        names.retain(|name| name.starts_with(prefix) && !name.ends_with(UNFINISHED));
        names.sort_unstable();
        Ok(names)
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.error(name, &error)),
            _ => Ok(()),
        }
    }
}
