//! Chance, by integers only: the same on every machine and in every version.

/// SplitMix64 (Steele, Lea, Flood 2014): a counter through a mixing function. Written out here because its bytes are part of the
/// simulator's contract; a crate's generator may change between versions.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// Everything is this many parts per million.
pub(crate) const PPM: u64 = 1_000_000;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number that depends on all parts.
pub(crate) fn hash(parts: &[u64]) -> u64 {
    parts.iter().fold(GAMMA, |state, part| mix(state.wrapping_add(GAMMA) ^ mix(part.wrapping_add(GAMMA))))
}

impl Random {
    /// The generator of these parts; other parts give an independent one.
    pub(crate) fn of(parts: &[u64]) -> Self {
        Self(hash(parts))
    }

    /// 64 random bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        mix(self.0)
    }

    /// A number below `bound` (0 where it is 0). The bias of the multiplication is below 2⁻³² for the bounds used here.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from `low` to `high`, both possible.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below(high.abs_diff(low) + 1) as i64
    }

    /// True with this many parts per million.
    pub(crate) fn chance(&mut self, ppm: u64) -> bool {
        self.below(PPM) < ppm
    }

    /// A bell of mean 0 and standard deviation 1,000: twelve uniforms.
    pub(crate) fn bell(&mut self) -> i64 {
        (0..12).map(|_| self.below(1_001) as i64).sum::<i64>() - 6_000
    }

    /// An index by weight; 0 where all weights are 0.
    pub(crate) fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (index, weight) in weights.iter().enumerate() {
            if left < *weight {
                return index;
            }
            left -= weight;
        }
        0
    }
}

/// `value` × 2^(eighths / 8), by a table: growth without floating point.
pub(crate) fn grow(value: u64, eighths: i64) -> u64 {
    /// 2^(k/8) × 65,536, rounded.
    const ROOTS: [u64; 8] = [65_536, 71_468, 77_936, 84_990, 92_682, 101_070, 110_218, 120_194];
    let (whole, part) = (eighths.div_euclid(8), eighths.rem_euclid(8) as usize);
    let scaled = value * ROOTS.get(part).copied().unwrap_or(65_536);
    let shift = 16 - whole;
    if shift >= 0 { scaled >> shift.min(63) } else { scaled << (-shift).min(16) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Changing these changes every simulation.
    #[test]
    fn the_stream_is_what_it_always_was() {
        // The reference sequence of SplitMix64 seeded with 0.
        let mut random = Random(0);
        assert_eq!([random.next(), random.next()], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
    }

    #[test]
    fn growth_doubles_every_eight() {
        assert_eq!(
            [grow(1_000, 0), grow(1_000, 8), grow(1_000, -8), grow(1_000, 4), grow(1_000, 20)],
            [1_000, 2_000, 500, 1_414, 5_656]
        );
    }

    #[test]
    fn chances_are_what_they_say() {
        let mut random = Random::of(&[7]);
        let hits = (0..100_000).filter(|_| random.chance(250_000)).count();
        assert!((24_500..25_500).contains(&hits), "{hits}");
        let bells: Vec<i64> = (0..20_000).map(|_| random.bell()).collect();
        let mean = bells.iter().sum::<i64>() / 20_000;
        let variance = bells.iter().map(|b| b * b).sum::<i64>() / 20_000;
        assert!(mean.abs() < 30 && (950_000..1_050_000).contains(&variance), "{mean} {variance}");
        let mut counts = [0; 3];
        (0..10_000).for_each(|_| counts[random.weighted(&[1, 0, 3])] += 1);
        assert!(counts[1] == 0 && (2_300..2_700).contains(&counts[0]), "{counts:?}");
    }
}
