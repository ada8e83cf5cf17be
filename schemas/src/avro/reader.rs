//! Reads an Avro body field by field, borrowing from it.

use super::{DecodeError, DecodeErrorKind as Kind};
use crate::decimal::Decimal;
use crate::id::Id;
use crate::record::RecordSchema;

/// A position in an Avro body. Every length is checked against what is left, so that damage can neither panic nor make us
/// allocate: the largest allocation is the array items that really are in the body.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    len: usize,
    record: &'static RecordSchema,
    field: usize,
    /// A stretch of ASCII that has been checked, and how much of the body was left where it begins. Between strings there is little
    /// but short lengths, which are ASCII too: most strings lie in a stretch that was checked for an earlier one.
    ascii: &'a str,
    ascii_from: usize,
}

/// Room made for array items before they are read; a larger array grows as its items prove to be there.
const MAX_INITIAL_ITEMS: usize = 16;

impl<'a> Reader<'a> {
    /// Starts reading `body` as `record`.
    pub fn new(record: &'static RecordSchema, body: &'a [u8]) -> Self {
        Self { rest: body, len: body.len(), record, field: 0, ascii: "", ascii_from: body.len() }
    }

    /// Names the field that is read next, for errors.
    #[inline(always)]
    pub fn at(&mut self, field: usize) -> &mut Self {
        self.field = field;
        self
    }

    /// Whether all bytes are read. A record written before a field was appended to its schema ends where that field would begin.
    #[inline(always)]
    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// The error for `kind` at the current position.
    #[cold]
    pub fn error(&self, kind: Kind) -> DecodeError {
        DecodeError {
            record: self.record.name,
            field: self.record.fields.get(self.field).map_or("", |field| field.name),
            position: self.len - self.rest.len(),
            kind,
        }
    }

    /// Checks that nothing follows.
    pub fn finish(&mut self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        self.field = usize::MAX;
        Err(self.error(Kind::TrailingBytes))
    }

    #[inline(always)]
    fn byte(&mut self) -> Result<u8, Kind> {
        let (first, rest) = self.rest.split_first().ok_or(Kind::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    #[inline(always)]
    fn take(&mut self, len: usize) -> Result<&'a [u8], Kind> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Kind::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A long: zigzag, seven bits a byte, lowest first.
    #[inline(always)]
    pub fn long(&mut self) -> Result<i64, Kind> {
        let first = self.byte()?;
        let raw = if first < 0x80 { u64::from(first) } else { self.long_rest(first)? };
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    #[inline]
    fn long_rest(&mut self, first: u8) -> Result<u64, Kind> {
        let mut raw = u64::from(first & 0x7f);
        let mut shift = 7;
        loop {
            let byte = self.byte()?;
            // The tenth byte has room for one bit.
            if shift == 63 && byte > 1 {
                return Err(Kind::IntegerOverflow);
            }
            raw |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(raw);
            }
            shift += 7;
        }
    }

    /// An int: a long that fits 32 bits.
    #[inline(always)]
    pub fn int(&mut self) -> Result<i32, Kind> {
        i32::try_from(self.long()?).map_err(|_| Kind::IntegerOverflow)
    }

    /// A boolean.
    #[inline(always)]
    pub fn bool(&mut self) -> Result<bool, Kind> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Kind::InvalidBool),
        }
    }

    /// A double.
    #[inline(always)]
    pub fn double(&mut self) -> Result<f64, Kind> {
        let (bytes, rest) = self.rest.split_first_chunk::<8>().ok_or(Kind::Truncated)?;
        self.rest = rest;
        Ok(f64::from_le_bytes(*bytes))
    }

    /// Bytes.
    #[inline(always)]
    pub fn bytes(&mut self) -> Result<&'a [u8], Kind> {
        let len = usize::try_from(self.long()?).map_err(|_| Kind::NegativeLength)?;
        self.take(len)
    }

    /// A string.
    #[inline(always)]
    pub fn str(&mut self) -> Result<&'a str, Kind> {
        let len = usize::try_from(self.long()?).map_err(|_| Kind::NegativeLength)?;
        let ahead = self.rest;
        self.take(len)?;
        let from = self.ascii_from - ahead.len();
        match self.ascii.get(from..from + len) {
            Some(text) => Ok(text),
            None => self.check(ahead, len),
        }
    }

    /// Checks the string of `len` bytes at the beginning of `ahead`, which is the rest of the body, and what follows it.
    #[inline(never)]
    fn check(&mut self, ahead: &'a [u8], len: usize) -> Result<&'a str, Kind> {
        let ascii = ascii_len(ahead);
        let (checked, _) = ahead.split_at(ascii.max(len));
        let text = std::str::from_utf8(checked).map_err(|_| Kind::InvalidUtf8)?;
        if ascii >= len {
            (self.ascii, self.ascii_from) = (text, ahead.len());
        }
        text.get(..len).ok_or(Kind::InvalidUtf8)
    }

    /// An id: a string of 32 lower-case hexadecimal digits.
    #[inline(always)]
    pub fn id(&mut self) -> Result<Id, Kind> {
        Id::from_hex(self.bytes()?).ok_or(Kind::InvalidId)
    }

    /// A decimal: its mantissa as big-endian two's complement.
    #[inline]
    pub fn decimal(&mut self) -> Result<Decimal, Kind> {
        let bytes = self.bytes()?;
        if bytes.len() > 8 {
            return Err(Kind::DecimalOverflow);
        }
        let sign = if bytes.first().is_some_and(|byte| *byte >= 0x80) { -1i64 } else { 0 };
        let mantissa = bytes.iter().fold(sign, |value, byte| value << 8 | i64::from(*byte));
        Decimal::from_mantissa(mantissa).ok_or(Kind::DecimalOverflow)
    }

    /// An optional field: the union of null and what `read` reads.
    #[inline(always)]
    pub fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Kind>) -> Result<Option<T>, Kind> {
        // Branches are zigzag longs, which both are below 0x80: 0 is null, 2 is branch 1.
        match self.byte()? {
            0 => Ok(None),
            2 => read(self).map(Some),
            _ => Err(Kind::InvalidBranch),
        }
    }

    /// An array of strings.
    pub fn strings(&mut self) -> Result<Vec<&'a str>, Kind> {
        self.array(1, Self::str)
    }

    /// An array of nested records.
    #[inline]
    pub fn records<T>(
        &mut self,
        nested: &'static RecordSchema,
        mut read: impl FnMut(&mut Self) -> Result<T, Kind>,
    ) -> Result<Vec<T>, Kind> {
        if self.rest.first() == Some(&0) {
            self.rest = &self.rest[1..];
            return Ok(Vec::new());
        }
        // Every field takes a byte at least.
        self.array(nested.fields.len(), |reader| {
            let outer = (reader.record, reader.field);
            reader.record = nested;
            let item = read(reader)?;
            (reader.record, reader.field) = outer;
            Ok(item)
        })
    }

    /// An array: blocks of a count and that many items, ended by a zero count. A negative count is followed by the block's size.
    fn array<T>(
        &mut self,
        min_item_bytes: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, Kind>,
    ) -> Result<Vec<T>, Kind> {
        let mut items = Vec::new();
        loop {
            let mut count = self.long()?;
            if count == 0 {
                return Ok(items);
            }
            if count < 0 {
                count = count.checked_neg().ok_or(Kind::TooManyItems)?;
                let block_bytes = usize::try_from(self.long()?).map_err(|_| Kind::NegativeLength)?;
                if block_bytes > self.rest.len() {
                    return Err(Kind::Truncated);
                }
            }
            let count = usize::try_from(count).map_err(|_| Kind::TooManyItems)?;
            if count > self.rest.len() / min_item_bytes.max(1) {
                return Err(Kind::TooManyItems);
            }
            items.reserve(count.min(MAX_INITIAL_ITEMS));
            for _ in 0..count {
                items.push(read(self)?);
            }
        }
    }
}

/// How many bytes from the beginning are ASCII.
fn ascii_len(bytes: &[u8]) -> usize {
    const BLOCK: usize = 32;
    const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
    let is_ascii = |block: &[u8]| block.iter().fold(0, |all, byte| all | byte) < 0x80;
    let mut len = bytes.chunks_exact(BLOCK).take_while(|block| is_ascii(block)).count() * BLOCK;
    let mut rest = &bytes[len..];
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        let high = u64::from_le_bytes(*word) & HIGH_BITS;
        if high != 0 {
            return len + (high.trailing_zeros() / 8) as usize;
        }
        len += 8;
        rest = after;
    }
    len + rest.iter().take_while(|byte| byte.is_ascii()).count()
}
