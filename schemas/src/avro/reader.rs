//! Reads an Avro body field by field, borrowing from it.

use super::{DecodeError, DecodeErrorKind as Kind};
use crate::decimal::Decimal;
use crate::id::Id;
use crate::record::RecordSchema;
use crate::text::text;
use ascii::AsAsciiStr;

/// A position in an Avro body. Every length is checked against what is left, so that damage can neither panic nor make us
/// allocate: the largest allocation is the array items that really are in the body.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    len: usize,
    record: &'static RecordSchema,
    field: usize,
}

/// Room made for array items before they are read; a larger array grows as its items prove to be there.
const MAX_INITIAL_ITEMS: usize = 16;

impl<'a> Reader<'a> {
    /// Starts reading `body` as `record`.
    pub fn new(record: &'static RecordSchema, body: &'a [u8]) -> Self {
        Self { rest: body, len: body.len(), record, field: 0 }
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
        let raw = match self.rest.split_first() {
            Some((&first, rest)) if first < 0x80 => {
                self.rest = rest;
                u64::from(first)
            }
            _ => self.long_far()?,
        };
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    #[inline(never)]
    fn long_far(&mut self) -> Result<u64, Kind> {
        const MARKS: u64 = 0x8080_8080_8080_8080;
        if let Some(eight) = self.rest.first_chunk::<8>() {
            let word = u64::from_le_bytes(*eight);
            let ends = !word & MARKS;
            if ends != 0 {
                // All at once: the bytes up to the first without a mark, moved together by eighths, quarters and halves.
                let taken = word & (ends ^ (ends - 1)) & !MARKS;
                let taken = (taken & 0x7f00_7f00_7f00_7f00) >> 1 | taken & 0x007f_007f_007f_007f;
                let taken = (taken & 0x3fff_0000_3fff_0000) >> 2 | taken & 0x0000_3fff_0000_3fff;
                let taken = (taken & 0x0fff_ffff_0000_0000) >> 4 | taken & 0x0fff_ffff;
                self.rest = &self.rest[ends.trailing_zeros() as usize / 8 + 1..];
                return Ok(taken);
            }
        }
        self.long_by_byte()
    }

    /// The same, near the body's end or where it takes more than eight bytes.
    #[cold]
    fn long_by_byte(&mut self) -> Result<u64, Kind> {
        let (mut raw, mut shift) = (0, 0);
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

    #[inline(always)]
    fn len(&mut self) -> Result<usize, Kind> {
        usize::try_from(self.long()?).map_err(|_| Kind::NegativeLength)
    }

    /// Bytes.
    #[inline(always)]
    pub fn bytes(&mut self) -> Result<&'a [u8], Kind> {
        let len = self.len()?;
        self.take(len)
    }

    /// A string.
    #[inline(never)]
    pub fn str(&mut self) -> Result<&'a str, Kind> {
        match self.short_ascii() {
            Some(text) => Ok(text),
            None => self.any_str(),
        }
    }

    /// The next string as nearly all are: short and ASCII. `None`, and nothing read, where it may be another one.
    #[inline(always)]
    fn short_ascii(&mut self) -> Option<&'a str> {
        let (&first, rest) = self.rest.split_first()?;
        // One byte, and not negative.
        if first & 0x81 != 0 {
            return None;
        }
        let len = usize::from(first >> 1);
        // Whole words, whatever stands behind the string: a check of those is shorter than one that ends within a word.
        let words = rest.get(..len.next_multiple_of(8))?.as_ascii_str().ok()?;
        let text = words.as_str().get(..len)?;
        self.rest = rest.get(len..)?;
        Some(text)
    }

    #[inline(never)]
    fn any_str(&mut self) -> Result<&'a str, Kind> {
        text(self.bytes()?).map_err(|_| Kind::InvalidUtf8)
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

    /// Skips `N` nulls; `false`, and nothing skipped, where not all of the next `N` optional fields are null.
    #[inline(always)]
    pub fn nulls<const N: usize>(&mut self) -> bool {
        match self.rest.split_first_chunk::<N>() {
            Some((nulls, rest)) if *nulls == [0; N] => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// An array of strings.
    pub fn strings(&mut self) -> Result<Vec<&'a str>, Kind> {
        self.array(1, Self::str)
    }

    /// An array of nested records.
    #[inline]
    pub fn records<T: Default>(
        &mut self,
        nested: &'static RecordSchema,
        mut read: impl FnMut(&mut T, &mut Self) -> Result<(), Kind>,
    ) -> Result<Vec<T>, Kind> {
        if self.rest.first() == Some(&0) {
            self.rest = &self.rest[1..];
            return Ok(Vec::new());
        }
        // Every field takes a byte at least.
        self.array(nested.fields.len(), |reader| {
            let outer = (reader.record, reader.field);
            reader.record = nested;
            let mut item = T::default();
            read(&mut item, reader)?;
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
