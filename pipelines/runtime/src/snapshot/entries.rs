//! Entries on their way from a stage to a file.

/// About how many bytes a stage writes between two epochs: a millisecond's work.
pub const SLICE_BYTES: usize = 512 << 10;

/// The section of small state: written whole in every snapshot, and first of all when it is restored.
pub const SMALL: u8 = 0;

/// Where an entry lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub section: u8,
    pub key: u128,
    /// Start and length in the bytes; `None` for one that is gone.
    pub value: Option<(u32, u32)>,
}

/// Keyed entries in the order in which they were written, and what has expired.
#[derive(Debug, Default)]
pub struct Entries {
    pub(super) bytes: Vec<u8>,
    pub(super) places: Vec<Place>,
    pub(super) floors: Vec<(u8, u32)>,
    full_at_bytes: usize,
}

impl Entries {
    /// No entry; full after about one slice more than what it holds.
    pub fn new() -> Self {
        Self { full_at_bytes: SLICE_BYTES, ..Self::default() }
    }

    /// No entry; full after about `slice_bytes`.
    pub(super) fn sliced(slice_bytes: usize) -> Self {
        Self { full_at_bytes: slice_bytes, ..Self::default() }
    }

    /// Adds an entry whose value `write` appends.
    pub fn push(&mut self, section: u8, key: u128, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        // A file is cut long before 4 GiB.
        let value = Some((start as u32, (self.bytes.len() - start) as u32));
        self.places.push(Place { section, key, value });
    }

    /// Says that there is no entry of this key any more.
    pub fn push_gone(&mut self, section: u8, key: u128) {
        self.places.push(Place { section, key, value: None });
    }

    /// Entries of `section` whose value begins with a big-endian number below `least` have expired: they count for nothing, and
    /// nobody need say of each that it is gone. Of one key that number must never fall.
    pub fn expire_below(&mut self, section: u8, least: u32) {
        self.floors.retain(|(other, _)| *other != section);
        self.floors.push((section, least));
    }

    /// Whether the slice is used up.
    pub fn is_full(&self) -> bool {
        self.size_bytes() >= self.full_at_bytes
    }

    /// Begins the next slice.
    pub(crate) fn next_slice(&mut self) {
        self.full_at_bytes = self.size_bytes() + SLICE_BYTES;
    }

    /// Bytes in a file.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len() + self.places.len() * super::file::ENTRY_BYTES
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The entries in the order they were written: section, key and value, `None` for one that is gone.
    pub fn iter(&self) -> impl Iterator<Item = (u8, u128, Option<&[u8]>)> {
        self.places.iter().map(|place| (place.section, place.key, place.value.and_then(|at| self.value(at))))
    }

    /// What is not in section 0; that goes to `small`.
    pub(super) fn split_off_small(mut self, small: &mut Self) -> Self {
        if self.places.iter().any(|place| place.section == SMALL) {
            for (section, key, value) in self.iter().filter(|(section, ..)| *section == SMALL) {
                match value {
                    Some(value) => small.push(section, key, |bytes| bytes.extend_from_slice(value)),
                    None => small.push_gone(section, key),
                }
            }
            self.places.retain(|place| place.section != SMALL);
        }
        self
    }

    pub(super) fn value(&self, (start, length): (u32, u32)) -> Option<&[u8]> {
        self.bytes.get(start as usize..start as usize + length as usize)
    }
}
