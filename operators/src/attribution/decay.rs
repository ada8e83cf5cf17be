//! Halving by whole numbers: the same bits on every machine.

/// The weight of age 0.
pub const ONE: u64 = 1 << 62;

/// 2^(−2^−k) for k = 1 to 32, as parts of 2⁶⁴: each is the square root of the one before.
const ROOTS: [u64; 32] = {
    let mut roots = [0; 32];
    // 2⁻¹.
    let mut root: u128 = 1 << 63;
    let mut at = 0;
    while at < roots.len() {
        root = (root << 64).isqrt();
        roots[at] = root as u64;
        at += 1;
    }
    roots
};

/// `ONE` · 2^(−age / half_life), a little low: by less than one and 2⁻²⁶ of it. An age below zero counts as zero, a half-life below one as
/// one; beyond 62 half-lives it is zero.
pub fn halved(age: i64, half_life: i64) -> u64 {
    let (age, half_life) = (age.max(0) as u64, half_life.max(1) as u64);
    let whole = age / half_life;
    if whole > 62 {
        return 0;
    }
    // The fraction of a half-life that is left, as parts of 2³².
    let fraction = (u128::from(age % half_life) << 32) / u128::from(half_life);
    let mut weight = u128::from(ONE);
    for (at, root) in ROOTS.iter().enumerate() {
        if fraction >> (31 - at) & 1 == 1 {
            weight = (weight * u128::from(*root)) >> 64;
        }
    }
    // Not above ONE.
    (weight as u64) >> whole
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ONE, halved};

    #[test]
    fn known_values() {
        assert_eq!([halved(0, 7), halved(7, 7), halved(21, 7)], [ONE, ONE / 2, ONE / 8]);
        assert_eq!([halved(-5, 7), halved(62, 1), halved(63, 1), halved(i64::MAX, 1)], [ONE, 1, 0, 0]);
        assert_eq!(halved(5, 0), ONE / 32);
        // Never changes: computed apart, with whole numbers of any length.
        assert_eq!(halved(1, 2), HALF_A_HALF_LIFE);
    }

    /// ⌊2⁶² · ⌊2⁶⁴ · 2^−½⌋ / 2⁶⁴⌋.
    const HALF_A_HALF_LIFE: u64 = 3_260_954_456_333_195_553;

    proptest! {
        #[test]
        fn agrees_with_floating_point(age in 0i64..40_000_000_000, half_life in 1_000_000_000i64..10_000_000_000) {
            let exact = ONE as f64 * (-(age as f64) / half_life as f64).exp2();
            let found = halved(age, half_life) as f64;
            prop_assert!((found - exact).abs() <= 1.0 + 1e-8 * exact, "{} instead of {}", found, exact);
        }

        #[test]
        fn never_rises_with_age(age in 0i64..10_000_000, more in 0i64..1_000_000, half_life in 1i64..1_000_000) {
            prop_assert!(halved(age + more, half_life) <= halved(age, half_life));
        }
    }
}
