//! The data directory: one process at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::{Result, TransportError};

/// Held as long as the log is open; the operating system lets go of it when the process dies.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    pub(crate) fn take(directory: &Path) -> Result<Self> {
        let shown = directory.display();
        std::fs::create_dir_all(directory)
            .map_err(|e| TransportError::Other(format!("data directory {shown} cannot be created: {e}")))?;
        let refused =
            |e: std::io::Error| TransportError::Other(format!("data directory {shown} cannot be locked: {e}"));
        let path = directory.join("LOCK");
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(refused)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Only for the message; the lock itself is what counts.
                let _read = file.read_to_string(&mut holder);
                let holder = if holder.is_empty() { "unknown".to_owned() } else { holder };
                return Err(TransportError::Other(format!(
                    "data directory {shown} is in use by another process (id {holder}); stop it or choose another directory"
                )));
            }
            Err(TryLockError::Error(e)) => return Err(refused(e)),
        }
        let note = |file: &mut File| {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            write!(file, "{}", std::process::id())
        };
        note(&mut file).map_err(refused)?;
        Ok(Self { _file: file })
    }
}
