//! What files hold: entries sorted by section and key, each key once. [`super::blocks`] packs them.
//!
//! An entry is section (1 byte), length of the value (4 bytes little-endian, all ones for an entry that is gone), key (16 bytes
//! big-endian), value. A file's length and checksum, as it is packed, are in the manifest that names it.

use xxhash_rust::xxh3::xxh3_128;

use super::entries::{Entries, Place};

/// What an entry takes beside its value: section, length, key.
pub const ENTRY_BYTES: usize = 21;
const GONE: u32 = u32::MAX;

/// Why a file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// It is not such a file, or of a newer version.
    #[error("it does not begin as a snapshot file of a version that this program knows")]
    Header,
    /// A block is cut off, or is not what was packed.
    #[error("a block of it is damaged")]
    Block,
    /// An entry is cut off.
    #[error("an entry is cut off at unpacked byte {0}")]
    Torn(usize),
    /// Its bytes are not those that were written.
    #[error("it has {bytes} bytes and checksum {checksum:032x}; {expected_bytes} and {expected_checksum} were written")]
    Changed {
        /// Its length.
        bytes: u64,
        /// Its checksum.
        checksum: u128,
        /// The length in the manifest.
        expected_bytes: u64,
        /// The checksum in the manifest.
        expected_checksum: String,
    },
}

/// One entry of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileEntry<'a> {
    /// Section.
    pub section: u8,
    /// Key.
    pub key: u128,
    /// Value; `None` for one that is gone.
    pub value: Option<&'a [u8]>,
}

impl FileEntry<'_> {
    /// What entries are sorted by.
    pub fn place(&self) -> (u8, u128) {
        (self.section, self.key)
    }

    /// Bytes in a file.
    pub fn size_bytes(&self) -> usize {
        ENTRY_BYTES + self.value.map_or(0, <[u8]>::len)
    }

    /// Appends it.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(self.section);
        // Values are far shorter than 4 GiB.
        let length = self.value.map_or(GONE, |value| value.len() as u32);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&self.key.to_be_bytes());
        out.extend_from_slice(self.value.unwrap_or_default());
    }

    /// Whether a floor of its section says that it has expired.
    pub fn is_expired(&self, floors: &[(u8, u32)]) -> bool {
        floors.iter().any(|(section, least)| {
            let first = self.value.and_then(|value| value.first_chunk()).map(|bytes| u32::from_be_bytes(*bytes));
            *section == self.section && first.is_some_and(|first| first < *least)
        })
    }
}

/// The entry at the beginning of `bytes`; `None` where it is not whole.
pub fn read_entry(bytes: &[u8]) -> Option<(FileEntry<'_>, &[u8])> {
    let (section, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (key, rest) = rest.split_first_chunk()?;
    let length = u32::from_le_bytes(*length);
    let (value, rest) = match length {
        GONE => (None, rest),
        length => rest.split_at_checked(length as usize).map(|(value, rest)| (Some(value), rest))?,
    };
    Some((FileEntry { section: *section, key: u128::from_be_bytes(*key), value }, rest))
}

/// The entries that unpacked bytes hold.
///
/// # Errors
/// The item that is an error is the last one.
pub fn read_all(bytes: &[u8]) -> impl Iterator<Item = Result<FileEntry<'_>, FileError>> {
    let mut left = bytes;
    std::iter::from_fn(move || match read_entry(left) {
        Some((entry, rest)) => {
            left = rest;
            Some(Ok(entry))
        }
        None if left.is_empty() => None,
        None => {
            let at = bytes.len() - left.len();
            left = &[];
            Some(Err(FileError::Torn(at)))
        }
    })
}

/// All these entries, sorted, the first of each key, as they are packed into a file; and how many they are.
pub fn write_sorted(slices: &[Entries]) -> (Vec<u8>, u64) {
    let mut order: Vec<(&Entries, &Place)> =
        slices.iter().flat_map(|entries| entries.places.iter().map(move |place| (entries, place))).collect();
    // Stable: the first written of a key stays the first.
    order.sort_by_key(|(_, place)| (place.section, place.key));
    order.dedup_by_key(|(_, place)| (place.section, place.key));
    let size_bytes: usize = slices.iter().map(Entries::size_bytes).sum();
    let mut bytes = Vec::with_capacity(size_bytes);
    for (entries, place) in &order {
        let value = place.value.and_then(|at| entries.value(at));
        FileEntry { section: place.section, key: place.key, value }.write(&mut bytes);
    }
    (bytes, order.len() as u64)
}

/// The checksum that manifests keep of files.
pub fn checksum(bytes: &[u8]) -> u128 {
    xxh3_128(bytes)
}
