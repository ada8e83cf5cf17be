//! What a record's content is summed up by, where two copies of a log are compared.

use xxhash_rust::xxh3::xxh3_64;

/// The hash of a record: xxh3-64 over its timestamp (8 bytes), the lengths of key and value (4 each), all little endian, then key
/// and value. With the lengths in it no two different records hash the same bytes. Sums of such hashes modulo 2⁶⁴ compare sets of
/// records whatever their order, and tell a record that is there twice from one that is there once.
///
/// `room` is memory to put the bytes together in, for the caller to use again.
pub fn record_hash(timestamp_ms: i64, key: &[u8], value: &[u8], room: &mut Vec<u8>) -> u64 {
    room.clear();
    room.extend_from_slice(&timestamp_ms.to_le_bytes());
    // The log refuses records anywhere near 4 GiB.
    room.extend_from_slice(&(key.len() as u32).to_le_bytes());
    room.extend_from_slice(&(value.len() as u32).to_le_bytes());
    room.extend_from_slice(key);
    room.extend_from_slice(value);
    hash_frame(room)
}

/// The same of bytes that lie so already, as they do in the local logs.
pub(crate) fn hash_frame(frame: &[u8]) -> u64 {
    xxh3_64(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_counts_and_the_value_is_fixed() {
        let mut room = Vec::new();
        let mut hash = |time, key: &[u8], value: &[u8]| record_hash(time, key, value, &mut room);
        // Ledgers that are in logs hold it: it can never change.
        assert_eq!(hash(1_795_279_043_123, b"shop/1", b"value"), GOLDEN);
        let parts: [(i64, &[u8], &[u8]); 5] =
            [(1, b"ab", b"c"), (1, b"a", b"bc"), (2, b"ab", b"c"), (1, b"abc", b""), (1, b"", b"abc")];
        let others = parts.map(|(time, key, value)| hash(time, key, value));
        let distinct: std::collections::BTreeSet<u64> = others.into_iter().collect();
        assert_eq!(distinct.len(), others.len());
    }

    /// Given by the Python package `xxhash` for the same bytes.
    const GOLDEN: u64 = 0xe3db_cabc_a3c3_15bf;
}
