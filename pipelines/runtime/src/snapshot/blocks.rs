//! How a snapshot file is packed: its entries in blocks, each compressed by itself, so that it can be read piece by piece.
//!
//! A file begins with `"MSSN"`, the version of its format and three zero bytes. Version 1: the entries as they are. Version 2: blocks, each
//! its unpacked length and its length in the file (4 bytes little-endian each) and the bytes, in LZ4's block format, or as they are where
//! both lengths are the same. Entries may lie across blocks.

use std::borrow::Cow;

use super::file::FileError;

const MAGIC: &[u8; 4] = b"MSSN";
const HEADER_BYTES: usize = 8;
/// Unpacked bytes of a block.
const BLOCK_BYTES: usize = 256 << 10;
/// A block said to be longer is none: nothing is allocated for it.
const MOST_BLOCK_BYTES: usize = 1 << 20;

fn header(version: u8) -> [u8; HEADER_BYTES] {
    let [m, s, t, n] = *MAGIC;
    [m, s, t, n, version, 0, 0, 0]
}

/// The file of these entries' bytes.
pub fn pack(entries: &[u8]) -> Vec<u8> {
    let mut file = Vec::with_capacity(HEADER_BYTES + entries.len() / 2);
    file.extend_from_slice(&header(2));
    for block in entries.chunks(BLOCK_BYTES) {
        let packed = lz4_flex::block::compress(block);
        let kept = if packed.len() < block.len() { &packed } else { block };
        // Both are far shorter than 4 GiB.
        file.extend_from_slice(&(block.len() as u32).to_le_bytes());
        file.extend_from_slice(&(kept.len() as u32).to_le_bytes());
        file.extend_from_slice(kept);
    }
    file
}

/// The entries' bytes of a whole file.
///
/// # Errors
/// Where it is no such file, or a block is damaged.
pub fn unpack(file: &[u8]) -> Result<Cow<'_, [u8]>, FileError> {
    if let Some(entries) = file.strip_prefix(&header(1)) {
        return Ok(Cow::Borrowed(entries));
    }
    let (mut unpacker, mut entries) = (Unpacker::default(), Vec::new());
    unpacker.push(file, &mut entries)?;
    if unpacker.is_whole() { Ok(Cow::Owned(entries)) } else { Err(FileError::Block) }
}

/// Unpacks a file piece by piece.
#[derive(Debug, Default)]
pub struct Unpacker {
    version: Option<u8>,
    /// The beginning of a block, or of the header, whose rest has not come.
    held: Vec<u8>,
}

impl Unpacker {
    /// Takes the next piece and appends what can be unpacked to `entries`.
    ///
    /// # Errors
    /// Where it is no such file, or a block is damaged.
    pub fn push(&mut self, piece: &[u8], entries: &mut Vec<u8>) -> Result<(), FileError> {
        self.held.extend_from_slice(piece);
        let held = std::mem::take(&mut self.held);
        let mut rest = held.as_slice();
        if self.version.is_none() {
            let Some((first, behind)) = rest.split_first_chunk() else {
                self.held = held;
                return Ok(());
            };
            self.version = Some(version_of(*first)?);
            rest = behind;
        }
        if self.version == Some(1) {
            entries.extend_from_slice(rest);
            return Ok(());
        }
        while let Some((block, behind)) = next_block(rest)? {
            block.unpack(entries)?;
            rest = behind;
        }
        self.held.extend_from_slice(rest);
        Ok(())
    }

    /// Whether what was pushed ends where a block does.
    pub fn is_whole(&self) -> bool {
        self.version.is_some() && self.held.is_empty()
    }
}

fn version_of(first: [u8; HEADER_BYTES]) -> Result<u8, FileError> {
    [1, 2].into_iter().find(|version| header(*version) == first).ok_or(FileError::Header)
}

struct Block<'a> {
    bytes: &'a [u8],
    unpacked_bytes: usize,
}

impl Block<'_> {
    fn unpack(&self, entries: &mut Vec<u8>) -> Result<(), FileError> {
        if self.bytes.len() == self.unpacked_bytes {
            entries.extend_from_slice(self.bytes);
            return Ok(());
        }
        let start = entries.len();
        entries.resize(start + self.unpacked_bytes, 0);
        let room = entries.get_mut(start..).unwrap_or_default();
        match lz4_flex::block::decompress_into(self.bytes, room) {
            Ok(count) if count == self.unpacked_bytes => Ok(()),
            _ => Err(FileError::Block),
        }
    }
}

/// The block at the beginning of `bytes`, where it is whole, and what is behind it.
fn next_block(bytes: &[u8]) -> Result<Option<(Block<'_>, &[u8])>, FileError> {
    let Some((unpacked, rest)) = bytes.split_first_chunk() else { return Ok(None) };
    let Some((packed, rest)) = rest.split_first_chunk() else { return Ok(None) };
    let lengths = [u32::from_le_bytes(*unpacked) as usize, u32::from_le_bytes(*packed) as usize];
    let [unpacked_bytes, packed_bytes] = lengths;
    if unpacked_bytes > MOST_BLOCK_BYTES || packed_bytes > unpacked_bytes {
        return Err(FileError::Block);
    }
    Ok(rest.split_at_checked(packed_bytes).map(|(bytes, behind)| (Block { bytes, unpacked_bytes }, behind)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Some of it repeats, some does not, and it may be longer than a block.
    fn entries() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..3_000),
            (any::<u8>(), 0..BLOCK_BYTES).prop_map(|(byte, count)| vec![byte; count]),
        ];
        prop::collection::vec(part, 0..5).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn what_was_packed_is_unpacked_in_whatever_pieces(entries in entries(), piece_bytes in 1..100_000usize) {
            let file = pack(&entries);
            prop_assert_eq!(&*unpack(&file).unwrap(), entries.as_slice());
            let (mut unpacker, mut unpacked) = (Unpacker::default(), Vec::new());
            for piece in file.chunks(piece_bytes) {
                unpacker.push(piece, &mut unpacked).unwrap();
            }
            prop_assert!(unpacker.is_whole());
            prop_assert_eq!(unpacked, entries);
        }

        #[test]
        fn damage_is_an_error_or_other_bytes_and_never_a_panic(
            entries in entries(), at in any::<prop::sample::Index>(), flip in 1..255u8, cut in any::<bool>(),
        ) {
            let mut file = pack(&entries);
            let at = at.index(file.len());
            if cut {
                file.truncate(at);
            } else {
                file[at] ^= flip;
            }
            let _either = unpack(&file);
        }
    }

    #[test]
    fn a_file_of_version_1_is_its_entries() {
        let file = [&header(1)[..], b"entries as they are"].concat();
        assert_eq!(&*unpack(&file).unwrap(), b"entries as they are");
        let mut unpacked = Vec::new();
        let mut unpacker = Unpacker::default();
        for piece in file.chunks(3) {
            unpacker.push(piece, &mut unpacked).unwrap();
        }
        assert_eq!((unpacker.is_whole(), unpacked.as_slice()), (true, &b"entries as they are"[..]));
    }

    #[test]
    fn a_length_beyond_reason_allocates_nothing() {
        let mut file = header(2).to_vec();
        file.extend_from_slice(&u32::MAX.to_le_bytes());
        file.extend_from_slice(&8u32.to_le_bytes());
        assert_eq!(unpack(&file).unwrap_err(), FileError::Block);
        assert_eq!(unpack(&header(3)).unwrap_err(), FileError::Header);
    }
}
