//! Appends Avro values to a buffer. Writing cannot fail.

use crate::decimal::Decimal;
use crate::id::Id;

/// A long: zigzag, seven bits a byte, lowest first.
#[inline(always)]
pub fn long(out: &mut Vec<u8>, value: i64) {
    let raw = (value << 1 ^ value >> 63) as u64;
    if raw < 0x80 {
        out.push(raw as u8);
    } else {
        long_rest(out, raw);
    }
}

#[inline]
fn long_rest(out: &mut Vec<u8>, mut raw: u64) {
    let mut bytes = [0u8; 10];
    let mut len = 0;
    while raw >= 0x80 {
        bytes[len] = raw as u8 | 0x80;
        raw >>= 7;
        len += 1;
    }
    bytes[len] = raw as u8;
    out.extend_from_slice(&bytes[..=len]);
}

/// An int.
#[inline(always)]
pub fn int(out: &mut Vec<u8>, value: i32) {
    long(out, i64::from(value));
}

/// A boolean.
#[inline(always)]
pub fn bool(out: &mut Vec<u8>, value: bool) {
    out.push(u8::from(value));
}

/// A double.
#[inline(always)]
pub fn double(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Bytes.
#[inline(always)]
pub fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    long(out, value.len() as i64);
    out.extend_from_slice(value);
}

/// A string.
#[inline(always)]
pub fn str(out: &mut Vec<u8>, value: &str) {
    bytes(out, value.as_bytes());
}

/// An id, as 32 lower-case hexadecimal digits.
#[inline(always)]
pub fn id(out: &mut Vec<u8>, value: Id) {
    // Length and digits in one go.
    let mut text = [0u8; 33];
    let (len, digits) = text.split_at_mut(1);
    // 32, zigzag.
    len[0] = 64;
    digits.copy_from_slice(&value.to_hex());
    out.extend_from_slice(&text);
}

/// A decimal: its mantissa as the shortest big-endian two's complement.
#[inline]
pub fn decimal(out: &mut Vec<u8>, value: Decimal) {
    let mantissa = value.mantissa();
    let all = mantissa.to_be_bytes();
    // Leading bytes that only repeat the sign are left out; one byte always stays.
    let sign_bits = if mantissa < 0 { mantissa.leading_ones() } else { mantissa.leading_zeros() };
    bytes(out, &all[((sign_bits - 1) / 8) as usize..]);
}

/// An optional value: the union of null and what `write` writes.
#[inline(always)]
pub fn optional<T>(out: &mut Vec<u8>, value: Option<T>, write: impl FnOnce(&mut Vec<u8>, T)) {
    match value {
        None => out.push(0),
        Some(value) => {
            out.push(2);
            write(out, value);
        }
    }
}

/// An array, as one block.
#[inline]
pub fn array<T>(out: &mut Vec<u8>, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    if !items.is_empty() {
        long(out, items.len() as i64);
        for item in items {
            write(out, item);
        }
    }
    out.push(0);
}
