//! How long processing waited for something, as a distribution that is cheap to keep.

use std::sync::atomic::{AtomicU64, Ordering};

/// Upper bounds of the buckets, microseconds; what is longer falls into one more.
const BOUNDS_US: [u64; 12] = [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000];

/// Counts of pauses by length; written by one thread, readable from all.
#[derive(Debug, Default)]
pub struct Pauses {
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    longest_us: AtomicU64,
}

impl Pauses {
    /// Notes a pause of `us` microseconds.
    pub(crate) fn note(&self, us: u64) {
        let bucket = BOUNDS_US.partition_point(|bound| *bound < us);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.longest_us.fetch_max(us, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// The bound under which at least `share` (0 to 1) of the pauses of all these are, microseconds: an upper bound of that quantile,
    /// never above the longest. `None` where there were none.
    pub fn quantile_us<'a>(all: impl Iterator<Item = &'a Self> + Clone, share: f64) -> Option<u64> {
        let counts: Vec<u64> = (0..=BOUNDS_US.len())
            .map(|bucket| all.clone().map(|pauses| pauses.buckets[bucket].load(Ordering::Relaxed)).sum())
            .collect();
        let total: u64 = counts.iter().sum();
        let longest_us = all.map(|pauses| pauses.longest_us.load(Ordering::Relaxed)).max()?;
        if total == 0 {
            return None;
        }
        let wanted = (total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (count, bound) in counts.iter().zip(BOUNDS_US) {
            seen += count;
            if seen >= wanted {
                return Some(bound.min(longest_us));
            }
        }
        Some(longest_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_bound_of_its_bucket() {
        let (one, other) = (Pauses::default(), Pauses::default());
        assert_eq!(Pauses::quantile_us([&one, &other].into_iter(), 0.5), None);
        (0..98).for_each(|_| one.note(70));
        other.note(9_000);
        other.note(700_000);
        let quantile = |share| Pauses::quantile_us([&one, &other].into_iter(), share);
        assert_eq!((quantile(0.5), quantile(0.99), quantile(1.0)), (Some(100), Some(10_000), Some(700_000)));
        one.note(100);
        let held = [&one.buckets[1], &other.longest_us].map(|held| held.load(Ordering::Relaxed));
        assert_eq!((held, one.count()), ([99, 700_000], 99));
    }
}
