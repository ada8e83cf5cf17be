//! Exact decimals with six digits after the point: prices and amounts as they were sent, before they become minor units.

use std::fmt;
use std::str::FromStr;

/// A decimal of at most 18 digits, six of them after the point; holds the mantissa (value × 10⁶). Never goes through a float.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(i64);

/// Digits after the point.
pub const SCALE: u32 = 6;
/// Digits in all.
pub const PRECISION: u32 = 18;
const ONE: i64 = 10i64.pow(SCALE);
/// Mantissas are below this.
const LIMIT: i64 = 10i64.pow(PRECISION);

/// Why a text is no decimal of ours, or a decimal no amount in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not a decimal number.
    #[error("not a decimal number")]
    NotANumber,
    /// Twelve digits before the point are not enough.
    #[error("more than 12 digits before the point")]
    TooLarge,
    /// Digits would be lost.
    #[error("more digits after the point than can be kept")]
    TooPrecise,
}

impl Decimal {
    /// Zero.
    pub const ZERO: Self = Self(0);

    /// The decimal with this mantissa (value × 10⁶); `None` beyond 18 digits.
    #[inline]
    pub const fn from_mantissa(mantissa: i64) -> Option<Self> {
        if -LIMIT < mantissa && mantissa < LIMIT { Some(Self(mantissa)) } else { None }
    }

    /// The mantissa: value × 10⁶.
    #[inline]
    pub const fn mantissa(self) -> i64 {
        self.0
    }

    /// The decimal of a whole number; `None` beyond 12 digits.
    pub fn from_whole(whole: i64) -> Option<Self> {
        whole.checked_mul(ONE).and_then(Self::from_mantissa)
    }

    /// The decimal of an amount in minor units of a currency with `digits` (0 to 6) of them; `None` beyond the range.
    pub fn from_minor(minor: i64, digits: u32) -> Option<Self> {
        let factor = 10i64.pow(SCALE.checked_sub(digits)?);
        minor.checked_mul(factor).and_then(Self::from_mantissa)
    }

    /// Reads decimal text exactly: sign, digits, point, exponent, as JSON writes numbers (a plus sign and a leading point are fine
    /// too). A digit that would be lost is an error.
    pub fn parse_exact(text: &str) -> Result<Self, DecimalError> {
        let (value, lost) = parse(text.as_bytes())?;
        if lost { Err(DecimalError::TooPrecise) } else { Ok(value) }
    }

    /// Reads decimal text and rounds half away from zero to six digits after the point. For senders that add floats: their
    /// 23.799999999999997 means 23.8.
    pub fn parse_rounded(text: &str) -> Result<Self, DecimalError> {
        parse(text.as_bytes()).map(|(value, _)| value)
    }

    /// The amount in minor units of a currency with `digits` (0 to 6) of them; `TooPrecise` where it is no whole number of them.
    pub fn to_minor(self, digits: u32) -> Result<i64, DecimalError> {
        let unit = minor_unit(digits);
        if self.0 % unit == 0 { Ok(self.0 / unit) } else { Err(DecimalError::TooPrecise) }
    }

    /// The amount in minor units, rounded half away from zero.
    pub fn to_minor_half_up(self, digits: u32) -> i64 {
        let unit = minor_unit(digits);
        // |mantissa| < 10¹⁸ and half a unit ≤ 5·10⁵: no overflow.
        (self.0 + self.0.signum() * (unit / 2)) / unit
    }

    /// This price times a number of pieces; `None` beyond the range.
    pub fn times(self, quantity: i64) -> Option<Self> {
        self.0.checked_mul(quantity).and_then(Self::from_mantissa)
    }

    /// The sum; `None` beyond the range.
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(Self::from_mantissa)
    }

    /// Whether it is below zero.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }
}

/// How much mantissa one minor unit is. No currency has more than six digits; more would mean a unit below our resolution.
fn minor_unit(digits: u32) -> i64 {
    10i64.pow(SCALE.saturating_sub(digits))
}

/// The value rounded half away from zero, and whether rounding lost anything.
fn parse(text: &[u8]) -> Result<(Decimal, bool), DecimalError> {
    let (negative, rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let exponent_at = rest.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (digits, exponent) = match exponent_at {
        Some(at) => (&rest[..at], parse_exponent(&rest[at + 1..])?),
        None => (rest, 0),
    };
    let point_at = digits.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = match point_at {
        Some(at) => (&digits[..at], &digits[at + 1..]),
        None => (digits, &[][..]),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(DecimalError::NotANumber);
    }
    // How many of the digits count at full mantissa; the next one decides the rounding.
    let kept = whole.len() as i64 + exponent + i64::from(SCALE);
    // Unsigned, so that one digit more than there may be does not overflow.
    let mut mantissa = 0u64;
    let (mut round_up, mut lost) = (false, false);
    let mut at = 0i64;
    for byte in whole.iter().chain(fraction) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err(DecimalError::NotANumber);
        }
        if at < kept {
            mantissa = mantissa * 10 + u64::from(digit);
            if mantissa >= LIMIT as u64 {
                return Err(DecimalError::TooLarge);
            }
        } else {
            round_up |= at == kept && digit >= 5;
            lost |= digit != 0;
        }
        at += 1;
    }
    // Zeros that the text leaves out.
    while at < kept && mantissa != 0 {
        mantissa *= 10;
        if mantissa >= LIMIT as u64 {
            return Err(DecimalError::TooLarge);
        }
        at += 1;
    }
    let mantissa = mantissa as i64 + i64::from(round_up);
    let value = Decimal::from_mantissa(if negative { -mantissa } else { mantissa }).ok_or(DecimalError::TooLarge)?;
    Ok((value, lost))
}

fn parse_exponent(text: &[u8]) -> Result<i64, DecimalError> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() {
        return Err(DecimalError::NotANumber);
    }
    let mut exponent = 0i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err(DecimalError::NotANumber);
        }
        // Beyond a thousand every number is too large or nothing: no need to count on.
        exponent = (exponent * 10 + i64::from(digit)).min(1_000_000);
    }
    Ok(if negative { -exponent } else { exponent })
}

impl FromStr for Decimal {
    type Err = DecimalError;
    /// As [`Decimal::parse_exact`].
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        Self::parse_exact(text)
    }
}

impl fmt::Display for Decimal {
    /// All digits that matter and no more: `2.55`, `-0.001`, `7`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, mut fraction) = (self.0.unsigned_abs() / ONE as u64, self.0.unsigned_abs() % ONE as u64);
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let mut width = SCALE as usize;
        while fraction % 10 == 0 {
            fraction /= 10;
            width -= 1;
        }
        write!(f, "{sign}{whole}.{fraction:0width$}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exact(text: &str) -> Result<String, DecimalError> {
        Decimal::parse_exact(text).map(|value| value.to_string())
    }

    #[test]
    fn reads_what_json_writes() {
        for (text, want) in [
            ("0", "0"),
            ("-0", "0"),
            ("2.55", "2.55"),
            ("+7", "7"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1e3", "1000"),
            ("1.5E+2", "150"),
            ("25e-2", "0.25"),
            ("0.000001", "0.000001"),
            ("-0.001", "-0.001"),
            ("007", "7"),
            ("999999999999.999999", "999999999999.999999"),
            ("0e999999999999", "0"),
            ("1.10000000000000", "1.1"),
            ("0.0000000000000000000000000000001e31", "1"),
            ("100000000000000000000e-20", "1"),
        ] {
            assert_eq!(exact(text).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in ["", "-", ".", "e5", "1e", "1e+", "1.2.3", "1,5", " 1", "0x1", "NaN", "Infinity", "1_000", "１"] {
            assert_eq!(exact(text), Err(DecimalError::NotANumber), "{text}");
        }
        for text in [
            "1000000000000",
            "1e12",
            "9e999999999999999999999",
            "123456789012345678901234567890",
            "9223372036854775808",
        ] {
            assert_eq!(exact(text), Err(DecimalError::TooLarge), "{text}");
        }
        for text in ["0.0000001", "1e-7", "23.799999999999997", "1e-99999999999"] {
            assert_eq!(exact(text), Err(DecimalError::TooPrecise), "{text}");
        }
    }

    #[test]
    fn rounds_half_away_from_zero() {
        let rounded = |text| Decimal::parse_rounded(text).map(|value| value.to_string());
        for (text, want) in [
            ("23.799999999999997", "23.8"),
            ("0.30000000000000004", "0.3"),
            ("0.0000005", "0.000001"),
            ("-0.0000005", "-0.000001"),
            ("0.00000049", "0"),
            ("5e-8", "0"),
            ("5e-7", "0.000001"),
            ("9e-9999999", "0"),
        ] {
            assert_eq!(rounded(text).as_deref(), Ok(want), "{text}");
        }
        assert_eq!(rounded("999999999999.9999995"), Err(DecimalError::TooLarge));
    }

    #[test]
    fn becomes_minor_units() {
        let minor = |text: &str, digits| {
            Decimal::parse_exact(text).map(|value| (value.to_minor(digits), value.to_minor_half_up(digits)))
        };
        assert_eq!(minor("2.55", 2), Ok((Ok(255), 255)));
        assert_eq!(minor("2.555", 2), Ok((Err(DecimalError::TooPrecise), 256)));
        assert_eq!(minor("-2.555", 2), Ok((Err(DecimalError::TooPrecise), -256)));
        assert_eq!(minor("2.5549", 2), Ok((Err(DecimalError::TooPrecise), 255)));
        assert_eq!(minor("1200", 0), Ok((Ok(1200), 1200)));
        assert_eq!(minor("0.5", 0), Ok((Err(DecimalError::TooPrecise), 1)));
        assert_eq!(minor("1.234", 3), Ok((Ok(1234), 1234)));
        assert_eq!(Decimal::from_minor(255, 2).map(|value| value.to_string()).as_deref(), Some("2.55"));
        assert_eq!(Decimal::from_minor(i64::MAX, 2), None);
        assert_eq!(Decimal::from_minor(1, 7), None);
    }

    proptest! {
        #[test]
        fn text_is_read_back(mantissa in -LIMIT + 1..LIMIT) {
            let value = Decimal::from_mantissa(mantissa).unwrap();
            prop_assert_eq!(Decimal::parse_exact(&value.to_string()), Ok(value));
        }

        #[test]
        fn minor_units_are_read_back(minor in -10i64.pow(12)..10i64.pow(12), digits in 0u32..=6) {
            let value = Decimal::from_minor(minor, digits).unwrap();
            prop_assert_eq!(value.to_minor(digits), Ok(minor));
            prop_assert_eq!(value.to_minor_half_up(digits), minor);
        }

        #[test]
        fn any_text_ends_in_a_value_or_an_error(text in "[-+0-9.eE]{0,40}|-?[0-9]{15,22}(\\.[0-9]{0,9})?(e-?[0-9]{1,2})?") {
            if let Ok(value) = Decimal::parse_exact(&text) {
                prop_assert_eq!(Decimal::parse_rounded(&text), Ok(value));
            }
        }
    }
}
