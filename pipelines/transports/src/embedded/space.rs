//! Room on the disk: asked before a write, because a write that breaks off for want of it cannot be repaired in place.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::local::store::Purpose;
use crate::{Result, TransportError};

/// What a byte of records takes on the disk at most until the store has rewritten it: journal, table, and the table it is merged into.
const AMPLIFICATION: u64 = 3;

/// The file system of a data directory.
#[derive(Debug)]
pub(crate) struct Space {
    directory: PathBuf,
    min_free_bytes: u64,
    /// Whether appends are being refused, so that it is said once and not at every append.
    short: AtomicBool,
}

impl Space {
    pub(crate) fn new(directory: &Path, min_free_bytes: u64) -> Self {
        Self { directory: directory.to_owned(), min_free_bytes, short: AtomicBool::new(false) }
    }

    /// Refuses where too little would be left.
    pub(crate) fn check(&self, bytes: usize, purpose: Purpose) -> Result<()> {
        let Some(free_bytes) = self.free_bytes() else { return Ok(()) };
        let spare = match purpose {
            Purpose::Input => self.min_free_bytes,
            Purpose::Output => self.min_free_bytes / 2,
        };
        let needed = spare.saturating_add(AMPLIFICATION.saturating_mul(bytes as u64));
        let enough = free_bytes >= needed;
        if purpose == Purpose::Input && self.short.swap(!enough, Ordering::Relaxed) == enough {
            let directory = self.directory.display();
            if enough {
                tracing::info!(%directory, free_bytes, "there is room on the disk again: appends are accepted");
            } else {
                tracing::error!(%directory, free_bytes, needed, "the disk is nearly full: appends are refused until there is room");
            }
        }
        if enough {
            return Ok(());
        }
        Err(TransportError::Unavailable(format!(
            "the disk of {} is nearly full: {free_bytes} bytes are free, {needed} are needed ({spare} are kept for the store's own \
             work); make room, and it goes on by itself",
            self.directory.display()
        )))
    }

    /// `None` where the system does not say: then nothing is refused.
    fn free_bytes(&self) -> Option<u64> {
        let stat = rustix::fs::statvfs(&self.directory).ok()?;
        Some(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_refused_before_output_is() {
        let folder = tempfile::tempdir().unwrap();
        let free = Space::new(folder.path(), 0).free_bytes().unwrap();
        // About half of what is free is asked to stay free twice over: input would break that, output would not.
        let space = Space::new(folder.path(), free + free / 2);
        let refused = space.check(1, Purpose::Input).unwrap_err();
        assert!(refused.to_string().contains("nearly full"), "{refused}");
        assert!(space.check(1, Purpose::Output).is_ok());
        let space = Space::new(folder.path(), u64::MAX);
        assert!(space.check(1, Purpose::Output).is_err());
        assert!(Space::new(folder.path(), 0).check(1, Purpose::Input).is_ok());
    }
}
