//! Amounts divided by weights, exactly.

/// Divides `amount` in proportion to `weights` by largest remainder: each share is less than one unit from its exact value, all add up
/// to `amount`, and equal amounts under equal weights have equal shares. Of equal remainders the first is given more. Where all weights
/// are zero, the last has all.
pub fn divide(amount: i64, weights: &[u64]) -> Vec<i64> {
    let total: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
    let mut shares = vec![0i64; weights.len()];
    if total == 0 {
        if let Some(last) = shares.last_mut() {
            *last = amount;
        }
        return shares;
    }
    let whole = u128::from(amount.unsigned_abs());
    let sign = amount.signum();
    let mut remainders = Vec::with_capacity(weights.len());
    let mut given = 0u128;
    for (at, (share, &weight)) in shares.iter_mut().zip(weights).enumerate() {
        // Below 2¹²⁷: an amount has 63 bits, a weight 64 at most.
        let product = whole * u128::from(weight);
        let part = product / total;
        given += part;
        // At most `amount`. Its magnitude may be 2⁶³, which only fits with its sign.
        *share = signed(part, sign);
        remainders.push((product % total, at));
    }
    remainders.sort_unstable_by(|(a, a_at), (b, b_at)| b.cmp(a).then(a_at.cmp(b_at)));
    // Less than one unit was cut off each share.
    let left = usize::try_from(whole - given).unwrap_or(usize::MAX);
    for (_, at) in remainders.iter().take(left) {
        if let Some(share) = shares.get_mut(*at) {
            *share = share.saturating_add(sign);
        }
    }
    shares
}

fn signed(magnitude: u128, sign: i64) -> i64 {
    let magnitude = i128::try_from(magnitude).unwrap_or(i128::MAX);
    i64::try_from(magnitude * i128::from(sign)).unwrap_or(if sign < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::divide;

    #[test]
    fn known_divisions() {
        assert_eq!(divide(100, &[1, 1, 1]), [34, 33, 33]);
        assert_eq!(divide(-100, &[1, 1, 1]), [-34, -33, -33]);
        assert_eq!(divide(10, &[2, 1, 2]), [4, 2, 4]);
        assert_eq!(divide(5, &[0, 0]), [0, 5]);
        assert_eq!(divide(5, &[]), [0; 0]);
        assert_eq!(divide(i64::MIN, &[u64::MAX, u64::MAX]), [i64::MIN / 2; 2]);
    }

    proptest! {
        #[test]
        fn shares_add_up_and_each_is_within_a_unit(amount: i64, weights in prop::collection::vec(0u64..1 << 62, 1..100)) {
            let shares = divide(amount, &weights);
            prop_assert_eq!(shares.iter().map(|&share| i128::from(share)).sum::<i128>(), i128::from(amount));
            let total: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
            for (&share, &weight) in shares.iter().zip(&weights) {
                if total > 0 {
                    let exact = u128::from(amount.unsigned_abs()) * u128::from(weight);
                    let off = (u128::from(share.unsigned_abs()) * total).abs_diff(exact);
                    prop_assert!(off < total);
                }
            }
        }
    }
}
