//! A witness of what was acknowledged, outside the store: the store's own recovery takes any unreadable end of its journal for a
//! torn tail and cuts it. The witness tells a torn tail, which nobody was told of, from the loss of acknowledged writes.
//!
//! The file holds two slots of a sequence number and its checksum, written in turn after each synced write. It is not synced
//! itself: after a power loss it may be old, which only makes it say less, never something wrong.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_64;

const SLOT_BYTES: usize = 16;

#[derive(Debug)]
pub(crate) struct Witness {
    file: Mutex<File>,
}

impl Witness {
    /// Opens or creates the file. Returns the highest sequence that it vouches for; 0 where there is none.
    pub(crate) fn open(path: &Path) -> std::io::Result<(Self, u64)> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let highest = bytes.chunks_exact(SLOT_BYTES).filter_map(sequence_in).max().unwrap_or(0);
        Ok((Self { file: Mutex::new(file) }, highest))
    }

    /// Notes that all writes up to `sequence` have been synced.
    pub(crate) fn note(&self, sequence: u64) -> std::io::Result<()> {
        let mut slot = [0u8; SLOT_BYTES];
        let (number, checksum) = slot.split_at_mut(8);
        number.copy_from_slice(&sequence.to_le_bytes());
        checksum.copy_from_slice(&xxh3_64(&sequence.to_le_bytes()).to_le_bytes());
        let mut file = self.file.lock();
        file.seek(SeekFrom::Start((sequence % 2) * SLOT_BYTES as u64))?;
        file.write_all(&slot)
    }

    /// Makes what was noted last over a power loss too.
    pub(crate) fn sync(&self) -> std::io::Result<()> {
        self.file.lock().sync_data()
    }
}

/// The number in a slot, where its checksum agrees (a write of the slot can be torn).
fn sequence_in(slot: &[u8]) -> Option<u64> {
    let (number, rest) = slot.split_first_chunk::<8>()?;
    let checksum = rest.first_chunk::<8>()?;
    (xxh3_64(number).to_le_bytes() == *checksum).then(|| u64::from_le_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_highest_and_survives_a_torn_slot() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("witness");
        let (witness, highest) = Witness::open(&path).unwrap();
        assert_eq!(highest, 0);
        for sequence in 1..=5 {
            witness.note(sequence).unwrap();
        }
        drop(witness);
        assert_eq!(Witness::open(&path).unwrap().1, 5);
        // 5 lies in slot 1; half of it is overwritten.
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[18] ^= 0xff;
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(Witness::open(&path).unwrap().1, 4);
    }
}
