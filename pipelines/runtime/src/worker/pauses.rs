//! How long processing waited for something, as a distribution that is cheap to keep.

use std::sync::atomic::{AtomicU64, Ordering};

/// Upper bounds of the buckets, microseconds; what is longer falls into one more.
pub const PAUSE_BOUNDS_US: [u64; 12] =
    [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000];

/// Counts of pauses by length; written by one thread, readable from all.
#[derive(Debug, Default)]
pub struct Pauses {
    buckets: [AtomicU64; PAUSE_BOUNDS_US.len() + 1],
    longest_us: AtomicU64,
}

impl Pauses {
    /// Notes a pause of `us` microseconds.
    pub(crate) fn note(&self, us: u64) {
        let bucket = PAUSE_BOUNDS_US.partition_point(|bound| *bound < us);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.longest_us.fetch_max(us, Ordering::Relaxed);
    }

    /// Pauses in each bucket of [`PAUSE_BOUNDS_US`], the ones beyond its last bound at the end.
    pub fn counts(&self) -> [u64; PAUSE_BOUNDS_US.len() + 1] {
        std::array::from_fn(|bucket| self.buckets[bucket].load(Ordering::Relaxed))
    }

    /// The longest, microseconds.
    pub fn longest_us(&self) -> u64 {
        self.longest_us.load(Ordering::Relaxed)
    }

    /// The bound under which at least `share` (0 to 1) of the pauses of all these are, microseconds: an upper bound of that quantile,
    /// never above the longest. `None` where there were none.
    pub fn quantile_us<'a>(all: impl Iterator<Item = &'a Self> + Clone, share: f64) -> Option<u64> {
        let counts: Vec<u64> = (0..=PAUSE_BOUNDS_US.len())
            .map(|bucket| all.clone().map(|pauses| pauses.buckets[bucket].load(Ordering::Relaxed)).sum())
            .collect();
        let total: u64 = counts.iter().sum();
        let longest_us = all.map(Self::longest_us).max()?;
        if total == 0 {
            return None;
        }
        let wanted = (total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (count, bound) in counts.iter().zip(PAUSE_BOUNDS_US) {
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
        assert_eq!((one.counts()[1], other.longest_us()), (99, 700_000));
    }
}
