//! Times as senders write them.

use super::Reason;
use super::error::{Read, fault};

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;
/// The years of a four-digit ISO-8601 date: 0000-01-01 to before 10000-01-01, in milliseconds since 1970.
pub const TIME_RANGE_MS: std::ops::Range<i64> = -62_167_219_200_000..253_402_300_800_000;

/// Reads an ISO-8601 date and time with a zone (`2026-11-21T16:37:23.123Z`, `2026-11-21 17:37:23+01:00`) into milliseconds since
/// 1970 UTC. Digits beyond milliseconds are cut off; a leap second is the first second of the next minute. `None` for anything
/// else, a time without a zone included: nobody can say when that was.
pub fn parse_time(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let (date_time, rest) = bytes.split_first_chunk::<19>()?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T' | b't' | b' ', h1, h2, b':', n1, n2, b':', s1, s2] =
        date_time
    else {
        return None;
    };
    let year = number(&[*y1, *y2, *y3, *y4])?;
    let (month, day) = (number(&[*m1, *m2])?, number(&[*d1, *d2])?);
    let (hour, minute, second) = (number(&[*h1, *h2])?, number(&[*n1, *n2])?, number(&[*s1, *s2])?);
    if !(1..=12).contains(&month)
        || !(1..=days_of(year, month)).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let (fraction_ms, zone) = fraction(rest)?;
    let time_ms = ((hour * 60 + minute) * 60 + second) * 1000 + fraction_ms;
    let utc_ms = days_since_1970(year, month, day) * DAY_MS + time_ms - offset_ms(zone)?;
    TIME_RANGE_MS.contains(&utc_ms).then_some(utc_ms)
}

/// The milliseconds of a number text since 1970: whole, or with a fraction that is cut off.
pub(super) fn parse_epoch_ms(text: &str) -> Read<i64> {
    let whole = match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|byte| byte.is_ascii_digit()) => whole,
        _ => text,
    };
    match whole.parse() {
        Ok(ms) if TIME_RANGE_MS.contains(&ms) => Ok(ms),
        _ => fault(Reason::InvalidTime, "expected milliseconds since 1970"),
    }
}

/// ISO-8601 in UTC with milliseconds: `2026-11-21T16:37:23.123Z`.
pub fn format_time(time_ms: i64) -> String {
    let (days, ms) = (time_ms.div_euclid(DAY_MS), time_ms.rem_euclid(DAY_MS));
    let (year, month, day) = date_of(days);
    let (hour, minute, second, ms) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

/// The milliseconds of a fraction of a second, and the zone behind it.
fn fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let [b'.' | b',', digits @ ..] = rest else { return Some((0, rest)) };
    let len = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if len == 0 || len > 9 {
        return None;
    }
    let ms = (0..3).fold(0, |ms, at| ms * 10 + if at < len { i64::from(digits[at] - b'0') } else { 0 });
    Some((ms, &digits[len..]))
}

fn offset_ms(zone: &[u8]) -> Option<i64> {
    let (sign, hour, minute) = match zone {
        [b'Z' | b'z'] => return Some(0),
        [sign, h1, h2, b':', m1, m2] | [sign, h1, h2, m1, m2] => (sign, number(&[*h1, *h2])?, number(&[*m1, *m2])?),
        [sign, h1, h2] => (sign, number(&[*h1, *h2])?, 0),
        _ => return None,
    };
    if hour > 23 || minute > 59 {
        return None;
    }
    let ms = (hour * 60 + minute) * 60_000;
    match sign {
        b'+' => Some(ms),
        b'-' => Some(-ms),
        _ => None,
    }
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days in the years before `year`, which begins in March so that a leap day is its last.
fn days_before(year: i64) -> i64 {
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400)
}

/// Days of the months before `month`, 0 for March.
fn days_before_month(month: i64) -> i64 {
    (153 * month + 2) / 5
}

/// From 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;

fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    days_before(year) + days_before_month(month) + day - 1 - EPOCH_DAYS
}

fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_DAYS;
    // A guess that is at most one year off, from 400 years of 146,097 days.
    let mut year = (days * 400).div_euclid(146_097);
    while days_before(year + 1) <= days {
        year += 1;
    }
    while days_before(year) > days {
        year -= 1;
    }
    let day_of_year = days - days_before(year);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - days_before_month(month) + 1;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_senders_write() {
        for (text, want) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59.999Z", -1),
            ("2026-11-21T16:37:23.123Z", 1_795_279_043_123),
            ("2026-11-21 17:37:23.123456789+01:00", 1_795_279_043_123),
            ("2026-11-21t11:07:23,1-0530", 1_795_279_043_100),
            ("2026-11-21T18:37:23.12+02", 1_795_279_043_120),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000),
            ("2024-02-29T00:00:00Z", 1_709_164_800_000),
            ("2000-02-29T00:00:00Z", 951_782_400_000),
        ] {
            assert_eq!(parse_time(text), Some(want), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "now",
            "2026-11-21",
            "2026-11-21T16:37:23",
            "2026-11-21T16:37Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T16:60:00Z",
            "2026-11-21T16:37:61Z",
            "2026-11-21T16:37:23.Z",
            "2026-11-21T16:37:23.1234567890Z",
            "2026-11-21T16:37:23Zulu",
            "2026-11-21T16:37:23+1",
            "2026-11-21T16:37:23+24:00",
            "2026-11-21T16:37:23 01:00",
            "0000-01-01T00:00:00+01:00",
            "２026-11-21T16:37:23Z",
            "2026-11-2\u{301}1T16:37:23Z",
            "+026-11-21T16:37:23Z",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_time_is_read_back(time_ms in TIME_RANGE_MS) {
            prop_assert_eq!(parse_time(&format_time(time_ms)), Some(time_ms));
        }

        #[test]
        fn any_text_ends_in_a_time_or_nothing(text in "\\PC{0,30}|[-0-9T:.Z+]{19,30}") {
            let _ = parse_time(&text);
        }
    }
}
