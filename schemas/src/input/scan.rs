//! A JSON scanner that borrows: strings are slices of the input unless they hold escapes, numbers stay text, unknown values are
//! skipped but checked.

use super::error::{Read, fault};
use super::skip::{Ends, literal, number, skip_space, special, special_in_word, string, syntax, value};
use super::{InputError, Reason};
use crate::text::text;
use std::borrow::Cow;
use std::ops::Range;

/// A position in a JSON text.
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
    ends: Ends,
}

impl<'a> Scanner<'a> {
    /// Starts at the beginning of `payload`, which must be UTF-8.
    pub fn new(payload: &'a [u8]) -> Result<Self, InputError> {
        match text(payload) {
            Ok(text) => Ok(Self::of_text(text)),
            Err(error) => {
                let detail = format!("not UTF-8 from byte {}", error.valid_up_to());
                Err(InputError::new(Reason::InvalidUtf8, detail))
            }
        }
    }

    /// Starts at the beginning of `text`.
    pub fn of_text(text: &'a str) -> Self {
        Self { text, at: 0, ends: Ends::of(text.as_bytes()) }
    }

    /// The first byte of the next token; 0 at the end.
    #[inline(always)]
    pub fn peek(&mut self) -> u8 {
        self.at = skip_space(self.text.as_bytes(), self.at);
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    /// Checks that nothing but space is left.
    pub fn end(&mut self) -> Read<()> {
        self.at = skip_space(self.text.as_bytes(), self.at);
        if self.at == self.text.len() { Ok(()) } else { syntax("nothing more", self.at) }
    }

    /// Enters an object; `wrong_type` where there is none.
    #[inline]
    pub fn begin_object(&mut self) -> Read<()> {
        self.begin(b'{', "an object")
    }

    /// Enters an array; `wrong_type` where there is none.
    pub fn begin_array(&mut self) -> Read<()> {
        self.begin(b'[', "an array")
    }

    #[inline(always)]
    fn begin(&mut self, open: u8, expected: &'static str) -> Read<()> {
        if self.peek() != open {
            return self.wrong_type(expected);
        }
        self.at += 1;
        Ok(())
    }

    /// The next key of the object we are in, up to its value; `None` behind its end. `first` holds before the first key.
    #[inline(always)]
    pub fn next_key(&mut self, first: &mut bool) -> Read<Option<Cow<'a, str>>> {
        match self.next_short_key(*first) {
            Some(key) => {
                *first = false;
                Ok(Some(Cow::Borrowed(key)))
            }
            None => self.next_any_key(first),
        }
    }

    /// The next key as senders write almost all: short, plain, and without space around it. `None` where it may be another one.
    #[inline(always)]
    fn next_short_key(&mut self, first: bool) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        if !first && bytes.get(self.at) != Some(&b',') {
            return None;
        }
        let quote = self.at + usize::from(!first);
        if bytes.get(quote) != Some(&b'"') {
            return None;
        }
        let end = special_in_word(bytes, quote + 1).or_else(|| special_in_word(bytes, quote + 9))?;
        if bytes.get(end..end + 2) != Some(b"\":") {
            return None;
        }
        self.at = end + 2;
        self.text.get(quote + 1..end)
    }

    #[inline(never)]
    fn next_any_key(&mut self, first: &mut bool) -> Read<Option<Cow<'a, str>>> {
        match self.next(b'}', first)? {
            None => return Ok(None),
            Some(b'"') => {}
            Some(_) => return syntax("a key", self.at),
        }
        let key = self.string()?;
        if self.peek() != b':' {
            return syntax("a colon", self.at);
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Whether the array we are in has one more item; behind its end where not.
    pub fn next_item(&mut self, first: &mut bool) -> Read<bool> {
        self.next(b']', first).map(|byte| byte.is_some())
    }

    /// The first byte of the next member or item; `None` behind the end.
    #[inline(always)]
    fn next(&mut self, close: u8, first: &mut bool) -> Read<Option<u8>> {
        let mut byte = self.peek();
        if byte == close {
            self.at += 1;
            return Ok(None);
        }
        if !std::mem::take(first) {
            if byte != b',' {
                return syntax("a comma or the end of the object or array", self.at);
            }
            self.at += 1;
            // A comma must be followed by a member: the next token is checked by whoever reads it, except for the closing one.
            byte = self.peek();
            if byte == close {
                return syntax("a value after the comma", self.at);
            }
        }
        Ok(Some(byte))
    }

    /// Skips a null; `false` where there is another value.
    #[inline(always)]
    pub fn null(&mut self) -> Read<bool> {
        if self.peek() != b'n' {
            return Ok(false);
        }
        self.at = literal(self.text.as_bytes(), self.at, b"null").or_else(|wrong| wrong.fail())?;
        Ok(true)
    }

    /// A boolean; `wrong_type` where there is none.
    pub fn bool(&mut self) -> Read<bool> {
        let (word, value): (&[u8], bool) = match self.peek() {
            b't' => (b"true", true),
            b'f' => (b"false", false),
            _ => return self.wrong_type("true or false"),
        };
        self.at = literal(self.text.as_bytes(), self.at, word).or_else(|wrong| wrong.fail())?;
        Ok(value)
    }

    /// A whole number in `range` as senders write almost all: without sign, point or exponent, and of at most 18 digits. `None`, and
    /// nothing read, where the next value may be another one.
    #[inline]
    pub fn plain_whole(&mut self, range: Range<i64>) -> Option<i64> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let (mut value, mut len) = (0i64, 0);
        if let Some(eight) = rest.first_chunk().and_then(|word| eight_digits(*word)) {
            (value, len) = (eight, 8);
        }
        while let Some(digit) = rest.get(len).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
            if len == 18 {
                return None;
            }
            value = value * 10 + i64::from(digit);
            len += 1;
        }
        let is_plain = match (rest.first()?, len) {
            (b'0', 1) | (b'1'..=b'9', 1..=18) => !matches!(rest.get(len), Some(b'.' | b'e' | b'E')),
            _ => false,
        };
        if !is_plain || !range.contains(&value) {
            return None;
        }
        self.at += len;
        Some(value)
    }

    /// The text of a number; the caller has seen that there is one.
    pub fn number(&mut self) -> Read<&'a str> {
        let from = self.at;
        self.at = number(self.text.as_bytes(), from).or_else(|wrong| wrong.fail())?;
        self.slice(from, self.at)
    }

    /// A string as senders write almost all: without space before it and without escapes. `None`, and nothing read, where the next
    /// value may be another one.
    #[inline(always)]
    pub fn plain_string(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        if bytes.get(self.at) != Some(&b'"') {
            return None;
        }
        let from = self.at + 1;
        let end = special(bytes, from, self.ends);
        if bytes.get(end) != Some(&b'"') {
            return None;
        }
        let text = self.text.get(from..end)?;
        self.at = end + 1;
        Some(text)
    }

    /// A string; the caller has seen the quote.
    #[inline(always)]
    pub fn string(&mut self) -> Read<Cow<'a, str>> {
        let from = self.at + 1;
        let end = special(self.text.as_bytes(), from, self.ends);
        if self.text.as_bytes().get(end) == Some(&b'"') {
            self.at = end + 1;
            return self.slice(from, end).map(Cow::Borrowed);
        }
        self.escaped(from, end)
    }

    /// A string with an escape at `escape`.
    #[cold]
    fn escaped(&mut self, from: usize, escape: usize) -> Read<Cow<'a, str>> {
        // Skipping first checks the whole string, so that what follows only meets well-formed escapes.
        let end = string(self.text.as_bytes(), from - 1, self.ends).or_else(|wrong| wrong.fail())?;
        let mut value = String::with_capacity(end - from);
        value.push_str(self.slice(from, escape)?);
        let mut rest = self.slice(escape, end - 1)?;
        while let Some(after) = rest.strip_prefix('\\') {
            let (character, after) = unescape(after);
            value.push(character);
            let plain = after.find('\\').unwrap_or(after.len());
            value.push_str(&after[..plain]);
            rest = &after[plain..];
        }
        self.at = end;
        Ok(Cow::Owned(value))
    }

    /// Skips any value and returns its text.
    pub fn raw(&mut self) -> Read<&'a str> {
        let range = self.skip()?;
        self.slice(range.start, range.end)
    }

    /// Skips any value and returns where it stands.
    pub fn skip(&mut self) -> Read<Range<usize>> {
        self.peek();
        let from = self.at;
        self.at = value(self.text.as_bytes(), from, self.ends).or_else(|wrong| wrong.fail())?;
        Ok(from..self.at)
    }

    /// The error for a value of another type than `expected`; or the syntax error, where there is no value at all.
    #[cold]
    pub fn wrong_type<T>(&mut self, expected: &'static str) -> Read<T> {
        let first = self.peek();
        value(self.text.as_bytes(), self.at, self.ends).or_else(|wrong| wrong.fail())?;
        let found = match first {
            b'"' => "a string",
            b'{' => "an object",
            b'[' => "an array",
            b't' | b'f' => "a boolean",
            b'n' => "null",
            _ => "a number",
        };
        fault(Reason::WrongType, format!("expected {expected}, found {found} at byte {}", self.at))
    }

    #[inline(always)]
    fn slice(&self, from: usize, to: usize) -> Read<&'a str> {
        // Both ends are ASCII bytes or behind one, so that this cannot fail; a check is cheaper than a proof.
        match self.text.get(from..to) {
            Some(slice) => Ok(slice),
            None => syntax("a character", from),
        }
    }
}

/// The value of eight decimal digits, all at once: neighbours are joined to pairs, pairs to fours, and these to the whole. `None`
/// where a byte is no digit.
#[inline(always)]
fn eight_digits(text: [u8; 8]) -> Option<i64> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_le_bytes(text);
    let digits = word ^ (EACH * b'0' as u64);
    // Six more take a digit beyond nine into the upper half of its byte; what was there before is no digit anyway.
    if (digits | digits.wrapping_add(EACH * 6)) & (EACH * 0xf0) != 0 {
        return None;
    }
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    let whole = (fours * 10_000 + (fours >> 32)) & 0xffff_ffff;
    Some(whole as i64)
}

/// The character of an escape, behind its backslash, and what follows. A surrogate without its other half is the replacement
/// character: browsers send one where a script cut a text in the middle of a character.
fn unescape(text: &str) -> (char, &str) {
    let mut rest = text.chars();
    let character = match rest.next() {
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => {
            let high = hex(&text[1..]);
            let after = &text[5..];
            if let 0xd800..0xdc00 = high
                && let Some(low @ 0xdc00..0xe000) = after.strip_prefix("\\u").map(hex)
            {
                let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), &after[6..]);
            }
            return (char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), after);
        }
        Some(other) => other,
        None => char::REPLACEMENT_CHARACTER,
    };
    (character, rest.as_str())
}

/// The value of four hexadecimal digits, which were checked.
fn hex(text: &str) -> u32 {
    text.chars().take(4).fold(0, |value, digit| value << 4 | digit.to_digit(16).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::{Scanner, eight_digits};
    use proptest::prelude::*;

    #[test]
    fn only_digits_are_read_as_eight_digits() {
        for at in 0..8 {
            for byte in 0..=u8::MAX {
                let mut text = *b"12345678";
                text[at] = byte;
                let expected = str::from_utf8(&text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
                assert_eq!(eight_digits(text), expected.and_then(|text| text.parse().ok()), "{byte} at {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn plain_whole_numbers_are_what_the_standard_library_reads(text in "[0-9]{1,20}", behind in "[,}.eE -]?") {
            let whole = format!("{text}{behind}");
            let mut scanner = Scanner::of_text(&whole);
            let is_plain = text.len() <= 18 && (text == "0" || !text.starts_with('0')) && !matches!(&*behind, "." | "e" | "E");
            let expected = text.parse().ok().filter(|_| is_plain);
            prop_assert_eq!(scanner.plain_whole(0..i64::MAX), expected);
            prop_assert_eq!(scanner.at, expected.map_or(0, |_| text.len()));
        }
    }
}
