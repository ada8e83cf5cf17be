//! The one partitioner: the same key goes to the same partition on every transport and in every process.

use xxhash_rust::xxh3::xxh3_64;

/// The partition of `key` among `partitions`: XXH3-64 of the key's bytes, modulo the count.
///
/// It is ours, not the client library's, because a transport that placed keys differently would scatter a person's events. A
/// topic without partitions cannot exist; a count of 0 gives partition 0.
pub fn partition_for(key: &[u8], partitions: u32) -> u32 {
    let count = u64::from(partitions.max(1));
    // Less than `count`, which came from a u32.
    (xxh3_64(key) % count) as u32
}

#[cfg(test)]
mod tests {
    use super::partition_for;

    /// Golden values: changing one moves every key of every installation.
    #[test]
    fn partitions_never_change() {
        let placed: Vec<u32> = ["", "a", "device-1", "device-2", "shop.example/user-42", "日本"]
            .iter()
            .map(|k| partition_for(k.as_bytes(), 12))
            .collect();
        assert_eq!(placed, GOLDEN);
        assert_eq!(partition_for(b"device-1", 1), 0);
        assert_eq!(partition_for(b"device-1", 0), 0);
    }

    const GOLDEN: [u32; 6] = [10, 7, 1, 10, 10, 8];

    #[test]
    fn keys_spread_evenly() {
        let mut counts = [0u32; 8];
        for n in 0..80_000u32 {
            let partition = partition_for(format!("device-{n}").as_bytes(), 8);
            if let Some(count) = counts.get_mut(partition as usize) {
                *count += 1;
            }
        }
        assert!(counts.iter().all(|&count| (9_500..10_500).contains(&count)), "{counts:?}");
    }
}
