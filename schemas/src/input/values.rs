//! Readers of single values. All take null for "not given", and strings that are empty too.

use super::error::{InField, Read, fault};
use super::extra::Extra;
use super::scan::Scanner;
use super::time::{TIME_RANGE_MS, parse_epoch_ms, parse_time};
use super::{EventType, Reason};
use crate::decimal::{Decimal, DecimalError};
use crate::{currency, purposes};
use std::borrow::Cow;

/// Refuses an event whose type needs a `field` that is not there.
#[inline(always)]
pub fn need(is_there: bool, field: &'static str, detail: &'static str) -> Read<()> {
    if is_there { Ok(()) } else { fault(Reason::MissingField, detail).in_field(field) }
}

/// A string of at most `max_bytes` bytes of UTF-8.
#[inline(never)]
pub fn string<'a>(scanner: &mut Scanner<'a>, max_bytes: usize) -> Read<Option<Cow<'a, str>>> {
    match scanner.plain_string() {
        Some("") => Ok(None),
        Some(text) if text.len() <= max_bytes => Ok(Some(Cow::Borrowed(text))),
        Some(text) => too_long(text.len(), max_bytes),
        None => any_string(scanner, max_bytes),
    }
}

#[inline(never)]
fn any_string<'a>(scanner: &mut Scanner<'a>, max_bytes: usize) -> Read<Option<Cow<'a, str>>> {
    if scanner.peek() != b'"' {
        return if scanner.null()? { Ok(None) } else { scanner.wrong_type("a string") };
    }
    let value = scanner.string()?;
    if value.len() > max_bytes {
        return too_long(value.len(), max_bytes);
    }
    Ok(if value.is_empty() { None } else { Some(value) })
}

#[cold]
fn too_long<T>(bytes: usize, max_bytes: usize) -> Read<T> {
    fault(Reason::TooLong, format!("{bytes} bytes, {max_bytes} are allowed"))
}

/// A time: ISO-8601 with a zone, or milliseconds since 1970.
pub fn time(scanner: &mut Scanner<'_>) -> Read<Option<i64>> {
    match scanner.peek() {
        b'"' => match &*scanner.string()? {
            "" => Ok(None),
            text => match parse_time(text) {
                Some(time_ms) => Ok(Some(time_ms)),
                None => fault(Reason::InvalidTime, "expected ISO-8601 with a zone, such as 2026-11-21T16:37:23.123Z"),
            },
        },
        b'-' | b'0'..=b'9' => match scanner.plain_whole(TIME_RANGE_MS) {
            Some(time_ms) => Ok(Some(time_ms)),
            None => parse_epoch_ms(scanner.number()?).map(Some),
        },
        _ if scanner.null()? => Ok(None),
        _ => scanner.wrong_type("a time: ISO-8601 or milliseconds since 1970"),
    }
}

/// A whole number from `min` to `max`; outside it is refused for `reason`.
pub fn long(scanner: &mut Scanner<'_>, min: i64, max: i64, reason: Reason) -> Read<Option<i64>> {
    if !matches!(scanner.peek(), b'-' | b'0'..=b'9') {
        return if scanner.null()? { Ok(None) } else { scanner.wrong_type("a whole number") };
    }
    if let Some(value) = scanner.plain_whole(min..max) {
        return Ok(Some(value));
    }
    let text = scanner.number()?;
    // Some senders write 5.0 or 1e3 for whole numbers.
    let whole = text.parse().ok().or_else(|| Decimal::parse_exact(text).ok()?.to_minor(0).ok());
    match whole {
        Some(value) if (min..=max).contains(&value) => Ok(Some(value)),
        _ if max == i64::MAX => fault(reason, format!("{text} is no whole number from {min}")),
        _ => fault(reason, format!("{text} is no whole number from {min} to {max}")),
    }
}

/// An amount in major units, as a number or a string: never negative, and rounded half up at the sixth digit after the point.
pub fn decimal(scanner: &mut Scanner<'_>) -> Read<Option<Decimal>> {
    let text = match scanner.peek() {
        b'"' => scanner.string()?,
        b'-' | b'0'..=b'9' => Cow::Borrowed(scanner.number()?),
        _ if scanner.null()? => return Ok(None),
        _ => return scanner.wrong_type("an amount: a number or a string"),
    };
    if text.is_empty() {
        return Ok(None);
    }
    match Decimal::parse_rounded(&text) {
        Ok(value) if value.is_negative() => fault(Reason::NegativeAmount, format!("{value} is below zero")),
        Ok(value) => Ok(Some(value)),
        Err(DecimalError::TooLarge) => fault(Reason::InvalidAmount, "more than 12 digits before the point"),
        Err(_) => {
            fault(Reason::InvalidAmount, "expected a decimal number such as 12.34, without currency or separators")
        }
    }
}

/// An ISO 4217 code, in either case.
pub fn currency(scanner: &mut Scanner<'_>) -> Read<Option<&'static str>> {
    let Some(code) = string(scanner, 64)? else { return Ok(None) };
    match currency::canonical(&code).or_else(|| currency::canonical(&code.to_ascii_uppercase())) {
        Some(code) => Ok(Some(code)),
        None => fault(Reason::UnknownCurrency, format!("{code:?} is no ISO 4217 code")),
    }
}

/// An event type.
pub fn event_type(scanner: &mut Scanner<'_>) -> Read<Option<EventType>> {
    let Some(name) = string(scanner, 256)? else { return Ok(None) };
    match EventType::parse(&name) {
        Some(event_type) => Ok(Some(event_type)),
        None => {
            fault(Reason::UnknownEventType, format!("{name:?} is no event type; use custom with a name for your own"))
        }
    }
}

/// A free JSON object of at most `max_bytes` bytes of text.
pub fn object<'a>(scanner: &mut Scanner<'a>, max_bytes: usize) -> Read<Option<&'a str>> {
    if scanner.peek() != b'{' {
        return if scanner.null()? { Ok(None) } else { scanner.wrong_type("an object") };
    }
    let text = scanner.raw()?;
    if text.len() > max_bytes {
        return fault(Reason::TooLong, format!("{} bytes, {max_bytes} are allowed", text.len()));
    }
    Ok(Some(text))
}

/// Consent purposes: an object of booleans or a list of names. What is no purpose of ours allows nothing and is kept in `extra`.
pub fn consent<'a>(scanner: &mut Scanner<'a>, extra: &mut Vec<Extra<'a>>) -> Read<Option<i32>> {
    let mut bits = purposes::NECESSARY;
    let mut first = true;
    match scanner.peek() {
        b'{' => {
            scanner.begin_object()?;
            while let Some(key) = scanner.next_key(&mut first)? {
                match purposes::parse(&key) {
                    None => extra.push(Extra::read("consent", key, scanner)?),
                    Some(_) if scanner.null()? => {}
                    Some(bit) => {
                        // The last one holds; necessary cannot be refused.
                        bits = if scanner.bool()? { bits | bit } else { bits & (!bit | purposes::NECESSARY) };
                    }
                }
            }
        }
        b'[' => {
            scanner.begin_array()?;
            while scanner.next_item(&mut first)? {
                let Some(name) = string(scanner, 256)? else { continue };
                match purposes::parse(&name) {
                    Some(bit) => bits |= bit,
                    None => extra.push(Extra { path: Cow::Owned(format!("consent.{name}")), json: "true" }),
                }
            }
        }
        _ if scanner.null()? => return Ok(None),
        _ => return scanner.wrong_type("an object of booleans or a list of purposes"),
    }
    Ok(Some(bits))
}

/// A group of fields, read by `read` into its place.
#[inline(always)]
pub fn group<'a, T: Default>(
    scanner: &mut Scanner<'a>,
    to: &mut Option<T>,
    extra: &mut Vec<Extra<'a>>,
    read: impl FnOnce(&mut Scanner<'a>, &mut T, &mut Vec<Extra<'a>>) -> Read<()>,
) -> Read<()> {
    if scanner.null()? {
        *to = None;
        return Ok(());
    }
    read(scanner, to.insert(T::default()), extra)
}

/// At most `max_items` lines, each read by `read`.
pub fn lines<'a, T: Default>(
    scanner: &mut Scanner<'a>,
    extra: &mut Vec<Extra<'a>>,
    array: &'static str,
    max_items: usize,
    mut read: impl FnMut(&mut Scanner<'a>, &mut T, &mut Vec<Extra<'a>>) -> Read<()>,
) -> Read<Vec<T>> {
    if scanner.null()? {
        return Ok(Vec::new());
    }
    scanner.begin_array()?;
    let (mut first, mut items) = (true, Vec::new());
    while scanner.next_item(&mut first)? {
        if items.len() == max_items {
            return fault(Reason::TooManyLines, format!("more than {max_items} lines"));
        }
        let known = extra.len();
        let mut item = T::default();
        read(scanner, &mut item, extra).in_item(array, items.len() + 1)?;
        items.push(item);
        for extra in &mut extra[known..] {
            extra.path = Cow::Owned(format!("{array}[{}].{}", items.len(), extra.path));
        }
    }
    Ok(items)
}
