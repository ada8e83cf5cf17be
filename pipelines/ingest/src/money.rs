//! Amounts in minor units, and lines that add up.
//!
//! Amounts come as decimals and are rounded half away from zero to the currency's minor unit. Where the shop gave no line amounts,
//! the order's amount is divided over the lines in proportion to price × quantity, by largest remainder: the lines add up to the
//! order exactly. Where it gave no order amount either, that is the sum of price × quantity, rounded once.

use millstream_schemas::currency::minor_digits;
use millstream_schemas::input::{EventType, InputError, InputEvent, InputLine, Reason};
use millstream_schemas::{Decimal, Line};

/// The money on an event; every amount in minor units of `currency`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Amounts<'a> {
    /// ISO 4217 code.
    pub currency: Option<&'a str>,
    /// Revenue, refund or spend.
    pub amount_minor: Option<i64>,
    /// Tax in it.
    pub tax_minor: Option<i64>,
    /// Shipping in it.
    pub shipping_minor: Option<i64>,
    /// Discount given.
    pub discount_minor: Option<i64>,
    /// The lines.
    pub lines: Vec<Line<'a>>,
}

impl<'a> Amounts<'a> {
    /// The amounts of a refund, of spend, or of the order that any other event names. Amounts without a currency are in `site_currency`.
    pub fn of<'e: 'a>(event: &'a InputEvent<'e>, site_currency: &'a str) -> Result<Self, InputError> {
        if let (EventType::Refund, Some(refund)) = (event.event_type, &event.refund) {
            let currency = refund.currency.unwrap_or(site_currency);
            let digits = minor_digits(currency).unwrap_or(2);
            let (amount, lines) = settle(refund.amount, &refund.lines, digits, "refund.lines")?;
            return Ok(Self { currency: Some(currency), amount_minor: amount, lines, ..Self::default() });
        }
        if let (EventType::Spend, Some(spend)) = (event.event_type, &event.spend) {
            let currency = spend.currency.unwrap_or(site_currency);
            let digits = minor_digits(currency).unwrap_or(2);
            let amount_minor = spend.amount.map(|amount| amount.to_minor_half_up(digits));
            return Ok(Self { currency: Some(currency), amount_minor, ..Self::default() });
        }
        if let Some(order) = &event.order {
            let currency = order.currency.unwrap_or(site_currency);
            let digits = minor_digits(currency).unwrap_or(2);
            let minor = |amount: Option<Decimal>| amount.map(|amount| amount.to_minor_half_up(digits));
            let (amount_minor, lines) = settle(order.amount, &order.lines, digits, "order.lines")?;
            return Ok(Self {
                currency: Some(currency),
                amount_minor,
                tax_minor: minor(order.tax),
                shipping_minor: minor(order.shipping),
                discount_minor: minor(order.discount),
                lines,
            });
        }
        let price = event.product.as_ref().filter(|product| product.price.is_some());
        Ok(Self { currency: price.map(|product| product.currency.unwrap_or(site_currency)), ..Self::default() })
    }
}

/// The amount in minor units, and the lines with theirs.
fn settle<'a>(
    amount: Option<Decimal>,
    lines: &'a [InputLine<'_>],
    digits: u32,
    field: &'static str,
) -> Result<(Option<i64>, Vec<Line<'a>>), InputError> {
    let amount_minor = amount.map(|amount| amount.to_minor_half_up(digits));
    if lines.is_empty() {
        return Ok((amount_minor, Vec::new()));
    }
    let totals = lines
        .iter()
        .enumerate()
        .map(|(index, line)| {
            let price = line.price.unwrap_or(Decimal::ZERO);
            price.times(line.quantity.unwrap_or(1)).ok_or_else(|| too_large(field, index))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let (amount_minor, parts) = if lines.iter().any(|line| line.amount.is_some()) {
        let parts: Vec<i64> = lines
            .iter()
            .zip(&totals)
            .map(|(line, total)| line.amount.unwrap_or(*total).to_minor_half_up(digits))
            .collect();
        let sum = parts.iter().try_fold(0i64, |sum, &part| sum.checked_add(part));
        (amount_minor.or(sum), parts)
    } else {
        let sum = totals.iter().try_fold(Decimal::ZERO, |sum, &total| sum.plus(total));
        let sum = sum.ok_or_else(|| too_large(field, lines.len() - 1))?;
        let whole = amount_minor.unwrap_or_else(|| sum.to_minor_half_up(digits));
        let mut weights: Vec<i128> = totals.iter().map(|total| i128::from(total.mantissa())).collect();
        if weights.iter().all(|&weight| weight == 0) {
            // An amount, but no prices: in proportion to the pieces.
            weights = lines.iter().map(|line| i128::from(line.quantity.unwrap_or(1).min(1 << 40))).collect();
        }
        (Some(whole), divide(whole, &weights))
    };
    let lines = (1..).zip(lines.iter().zip(&parts)).map(|(line_no, (line, &amount_minor))| {
        let quantity = line.quantity.unwrap_or(1);
        Line {
            line_no,
            product_id: &line.product_id,
            product_name: line.name.as_deref(),
            product_category: line.category.as_deref(),
            quantity,
            unit_price: line.price.unwrap_or_else(|| price_of(amount_minor, quantity, digits)),
            amount_minor,
            cost_minor: line.cost.map(|cost| cost.to_minor_half_up(digits)),
        }
    });
    Ok((amount_minor, lines.collect()))
}

/// A price that the shop left out: amount by quantity, cut off at the sixth digit.
fn price_of(amount_minor: i64, quantity: i64, digits: u32) -> Decimal {
    let amount = Decimal::from_minor(amount_minor, digits).unwrap_or(Decimal::ZERO);
    Decimal::from_mantissa(amount.mantissa() / quantity.max(1)).unwrap_or(Decimal::ZERO)
}

#[cold]
fn too_large(field: &'static str, index: usize) -> InputError {
    InputError {
        reason: Reason::InvalidAmount,
        field: format!("{field}[{}].price", index + 1).into(),
        detail: "price times quantity has more than 12 digits before the point".into(),
    }
}

/// Divides `whole` in proportion to `weights` (none negative, each below 10¹⁸), by largest remainder; of equal remainders the
/// earlier goes first. The parts add up to `whole`.
pub fn divide(whole: i64, weights: &[i128]) -> Vec<i64> {
    let total: i128 = weights.iter().sum();
    if total <= 0 {
        let mut parts = vec![0; weights.len()];
        if let Some(first) = parts.first_mut() {
            *first = whole;
        }
        return parts;
    }
    // whole < 2⁶³ and weight < 10¹⁸ < 2⁶⁰: the product fits.
    let shares = weights.iter().map(|weight| i128::from(whole) * weight);
    let mut parts: Vec<i64> =
        shares.clone().map(|share| i64::try_from(share.div_euclid(total)).unwrap_or_default()).collect();
    let mut remainders: Vec<(i128, usize)> = shares.map(|share| share.rem_euclid(total)).zip(0..).collect();
    remainders.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let given: i64 = parts.iter().sum();
    let missing = usize::try_from(whole - given).unwrap_or_default();
    for (_, index) in remainders.into_iter().take(missing) {
        if let Some(part) = parts.get_mut(index) {
            *part += 1;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use millstream_schemas::input::parse_event;
    use proptest::prelude::*;

    use super::*;

    fn minor(json: &str) -> (Option<i64>, Vec<i64>) {
        let payload = format!(r#"{{"id":"e","type":"purchase","order":{{"id":"o",{json}}}}}"#);
        let event = parse_event(payload.as_bytes()).unwrap();
        let amounts = Amounts::of(&event, "EUR").unwrap();
        (amounts.amount_minor, amounts.lines.iter().map(|line| line.amount_minor).collect())
    }

    #[test]
    fn amounts_by_hand() {
        for (json, amount, lines) in [
            (r#""currency":"EUR","amount":12.34"#, 1_234, vec![]),
            (r#""currency":"JPY","amount":1234"#, 1_234, vec![]),
            (r#""currency":"KWD","amount":1.2345"#, 1_235, vec![]),
            (r#""currency":"EUR","amount":30.000000000000004"#, 3_000, vec![]),
            (r#""currency":"EUR","amount":0"#, 0, vec![]),
            (
                r#""currency":"EUR","lines":[{"product_id":"a","price":1.005,"quantity":3},{"product_id":"b","price":2}]"#,
                502,
                vec![302, 200],
            ),
            (
                r#""currency":"EUR","amount":10,"lines":[{"product_id":"a","price":1},{"product_id":"b","price":1},{"product_id":"c","price":1}]"#,
                1_000,
                vec![334, 333, 333],
            ),
            (
                r#""currency":"EUR","amount":9,"lines":[{"product_id":"a","price":2,"amount":4},{"product_id":"b","price":2,"quantity":2}]"#,
                900,
                vec![400, 400],
            ),
            (
                r#""currency":"EUR","amount":9,"lines":[{"product_id":"a"},{"product_id":"b","quantity":2}]"#,
                900,
                vec![300, 600],
            ),
            (
                r#""currency":"EUR","lines":[{"product_id":"a","amount":1.5},{"product_id":"b","amount":2}]"#,
                350,
                vec![150, 200],
            ),
        ] {
            assert_eq!(minor(json), (Some(amount), lines), "{json}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_named() {
        let payload = br#"{"id":"e","type":"purchase","order":{"id":"o","currency":"EUR","lines":[
            {"product_id":"a","price":1},{"product_id":"b","price":999999999999,"quantity":1000}]}}"#;
        let event = parse_event(payload).unwrap();
        let error = Amounts::of(&event, "EUR").unwrap_err();
        assert_eq!((error.reason, &*error.field), (Reason::InvalidAmount, "order.lines[2].price"));
    }

    proptest! {
        #[test]
        fn parts_add_up_and_no_part_is_a_unit_off(
            whole in 0i64..1_000_000_000_000_000_000,
            weights in prop::collection::vec(0i128..1_000_000_000_000_000_000, 1..40),
        ) {
            let parts = divide(whole, &weights);
            prop_assert_eq!(parts.iter().map(|&part| i128::from(part)).sum::<i128>(), i128::from(whole));
            let total: i128 = weights.iter().sum();
            if total > 0 {
                for (part, weight) in parts.iter().zip(&weights) {
                    let off = i128::from(*part) * total - i128::from(whole) * weight;
                    prop_assert!(off.abs() < total, "{off} of {total}");
                }
            }
        }
    }
}
