//! The demo's data directory: it begins anew each time, and never where somebody's data are.

use std::fs::File;
use std::path::Path;

use crate::error::Failure;

const MARK: &str = "made-by-demo";

/// Empties a data directory that an earlier demo made, or marks a new one.
///
/// # Errors
/// Where the directory holds something else.
pub fn begin(directory: &Path) -> Result<(), Failure> {
    let mark = directory.join(MARK);
    let begun = directory.join("log").exists() || directory.join("warehouse").exists();
    if begun && !mark.exists() {
        return Err(Failure::new(format!(
            "{} holds data of `run` or `import`, which the demo does not empty; give it a directory of its own (MILLSTREAM_DATA_DIR=some/where), \
             or remove that one if nobody needs it",
            directory.display()
        )));
    }
    if let Ok(lock) = File::open(directory.join("log").join("LOCK")) {
        // Held by whoever uses the log; ours is dropped again before the log is opened.
        if lock.try_lock().is_err() {
            return Err(Failure::new(format!(
                "{} is in use by another process; stop it, or give the demo a directory of its own: MILLSTREAM_DATA_DIR=some/where",
                directory.display()
            )));
        }
    }
    for part in ["log", "warehouse", "snapshots"] {
        let path = directory.join(part);
        if path.exists() {
            std::fs::remove_dir_all(&path).map_err(|error| Failure::file(&path, error))?;
        }
    }
    std::fs::create_dir_all(directory).map_err(|error| Failure::file(directory, error))?;
    std::fs::write(&mark, "The next demo empties this directory.\n").map_err(|error| Failure::file(&mark, error))
}

/// From here on the directory holds somebody's data: no demo may empty it.
///
/// # Errors
/// Where the mark cannot be removed.
pub fn keep(directory: &Path) -> Result<(), Failure> {
    let mark = directory.join(MARK);
    if mark.exists() {
        std::fs::remove_file(&mark).map_err(|error| Failure::file(&mark, error))?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{begin, keep};

    #[test]
    fn only_what_a_demo_made_is_emptied() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        begin(&data).unwrap();
        std::fs::create_dir(data.join("log")).unwrap();
        begin(&data).unwrap();
        assert!(!data.join("log").exists());

        std::fs::create_dir(data.join("log")).unwrap();
        keep(&data).unwrap();
        assert!(begin(&data).is_err());
        assert!(data.join("log").exists());
    }

    #[test]
    fn a_log_in_use_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        begin(dir.path()).unwrap();
        std::fs::create_dir(dir.path().join("log")).unwrap();
        let lock = std::fs::File::create(dir.path().join("log").join("LOCK")).unwrap();
        lock.lock().unwrap();
        assert!(begin(dir.path()).is_err());
        lock.unlock().unwrap();
        begin(dir.path()).unwrap();
    }
}
