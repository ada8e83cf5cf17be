//! Exact sums of money.

use millstream_schemas::Decimal;

/// Micro-units (a [`Decimal`]'s mantissa) of one minor unit.
fn unit(digits: u32) -> i64 {
    10i64.pow(millstream_schemas::decimal::SCALE.saturating_sub(digits))
}

/// The exact sum of amounts; `None` where it leaves a decimal's range.
pub(crate) fn sum(amounts: impl IntoIterator<Item = Decimal>) -> Option<Decimal> {
    amounts.into_iter().try_fold(Decimal::ZERO, Decimal::plus)
}

/// Splits `total_minor` over lines by their exact amounts, so that the lines add up to it: each gets its whole minor units, and what is
/// left goes one by one to the largest remainders, earlier lines first. `total_minor` is the rounded sum of `exact`, all of them zero or
/// more.
pub(crate) fn split(exact: &[Decimal], total_minor: i64, digits: u32) -> Vec<i64> {
    let unit = unit(digits);
    let mut minor: Vec<i64> = exact.iter().map(|amount| amount.mantissa() / unit).collect();
    let left = usize::try_from(total_minor - minor.iter().sum::<i64>()).unwrap_or(0);
    if left > 0 {
        let mut order: Vec<usize> = (0..exact.len()).collect();
        let remainder = |at: &usize| exact.get(*at).map_or(0, |amount| amount.mantissa() % unit);
        order.sort_by_key(|at| std::cmp::Reverse(remainder(at)));
        for at in order.into_iter().take(left) {
            if let Some(amount) = minor.get_mut(at) {
                *amount += 1;
            }
        }
    }
    minor
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimals(texts: &[&str]) -> Vec<Decimal> {
        texts.iter().map(|text| Decimal::parse_exact(text).unwrap()).collect()
    }

    #[test]
    fn a_tenth_of_a_penny_goes_where_most_of_a_penny_is() {
        let exact = decimals(&["1.004", "2.004", "3.004"]);
        let total = sum(exact.iter().copied()).unwrap().to_minor_half_up(2);
        assert_eq!(total, 601);
        assert_eq!(split(&exact, total, 2), [101, 200, 300]);
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(split(&[], 0, 2), Vec::<i64>::new());
        assert_eq!(split(&decimals(&["0", "0"]), 0, 2), [0, 0]);
    }

    proptest! {
        #[test]
        fn lines_add_up_and_are_less_than_a_unit_off(
            mantissas in proptest::collection::vec(0i64..100_000_000_000, 0..40), digits in 0u32..=4,
        ) {
            let exact: Vec<Decimal> = mantissas.iter().map(|m| Decimal::from_mantissa(*m).unwrap()).collect();
            let total = sum(exact.iter().copied()).unwrap().to_minor_half_up(digits);
            let lines = split(&exact, total, digits);
            prop_assert_eq!(lines.iter().sum::<i64>(), total);
            for (line, mantissa) in lines.iter().zip(&mantissas) {
                prop_assert!((line * unit(digits) - mantissa).abs() < unit(digits));
            }
        }
    }
}
