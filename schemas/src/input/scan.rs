//! A JSON scanner that borrows: strings are slices of the input unless they hold escapes, numbers stay text, unknown values are
//! skipped but checked.

use super::error::{Read, fault};
use super::{InputError, Reason};
use std::borrow::Cow;
use std::ops::Range;

/// Objects and arrays may be nested this deep.
const MAX_DEPTH: u32 = 64;

/// A position in a JSON text.
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    /// Starts at the beginning of `payload`, which must be UTF-8.
    pub fn new(payload: &'a [u8]) -> Result<Self, InputError> {
        match std::str::from_utf8(payload) {
            Ok(text) => Ok(Self { text, at: 0 }),
            Err(error) => {
                let detail = format!("not UTF-8 from byte {}", error.valid_up_to());
                Err(InputError::new(Reason::InvalidUtf8, detail))
            }
        }
    }

    /// Starts at the beginning of `text`.
    pub fn of_text(text: &'a str) -> Self {
        Self { text, at: 0 }
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
    #[inline]
    pub fn next_key(&mut self, first: &mut bool) -> Read<Option<Cow<'a, str>>> {
        if !self.next(b'}', first)? {
            return Ok(None);
        }
        if self.peek() != b'"' {
            return syntax("a key", self.at);
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
        self.next(b']', first)
    }

    #[inline(always)]
    fn next(&mut self, close: u8, first: &mut bool) -> Read<bool> {
        let byte = self.peek();
        if byte == close {
            self.at += 1;
            return Ok(false);
        }
        if !std::mem::take(first) {
            if byte != b',' {
                return syntax("a comma or the end of the object or array", self.at);
            }
            self.at += 1;
            // A comma must be followed by a member: the next token is checked by whoever reads it, except for the closing one.
            if self.peek() == close {
                return syntax("a value after the comma", self.at);
            }
        }
        Ok(true)
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

    /// The text of a number; the caller has seen that there is one.
    pub fn number(&mut self) -> Read<&'a str> {
        let from = self.at;
        self.at = number(self.text.as_bytes(), from).or_else(|wrong| wrong.fail())?;
        self.slice(from, self.at)
    }

    /// A string; the caller has seen the quote.
    #[inline]
    pub fn string(&mut self) -> Read<Cow<'a, str>> {
        let from = self.at + 1;
        let end = special(self.text.as_bytes(), from);
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
        let end = string(self.text.as_bytes(), from - 1).or_else(|wrong| wrong.fail())?;
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
        self.at = value(self.text.as_bytes(), from).or_else(|wrong| wrong.fail())?;
        Ok(from..self.at)
    }

    /// The error for a value of another type than `expected`; or the syntax error, where there is no value at all.
    #[cold]
    pub fn wrong_type<T>(&mut self, expected: &'static str) -> Read<T> {
        let first = self.peek();
        value(self.text.as_bytes(), self.at).or_else(|wrong| wrong.fail())?;
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

/// What the text lacks, and where.
#[derive(Clone, Copy, Debug)]
struct Wrong {
    expected: &'static str,
    at: usize,
}

impl Wrong {
    #[cold]
    fn fail<T>(self) -> Read<T> {
        syntax(self.expected, self.at)
    }
}

#[cold]
fn syntax<T>(expected: &'static str, at: usize) -> Read<T> {
    fault(Reason::InvalidJson, format!("expected {expected} at byte {at}"))
}

/// The position of the first byte from `at` that is not space.
#[inline(always)]
fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// The position of the first byte from `at` that ends a plain string: a quote, a backslash or a control character; the end, where
/// there is none. Eight bytes at a time.
#[inline]
fn special(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * b'"' as u64);
        let backslash = word ^ (ONES * b'\\' as u64);
        // The classic tests for a zero byte and for a byte below 0x20; their lowest hit is exact.
        let hit = (quote.wrapping_sub(ONES) & !quote
            | backslash.wrapping_sub(ONES) & !backslash
            | word.wrapping_sub(ONES * 0x20) & !word)
            & HIGH;
        if hit != 0 {
            return at + (hit.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(byte) = bytes.get(at) {
        if matches!(byte, b'"' | b'\\' | 0..0x20) {
            break;
        }
        at += 1;
    }
    at
}

fn literal(bytes: &[u8], at: usize, word: &'static [u8]) -> Result<usize, Wrong> {
    if bytes[at..].starts_with(word) { Ok(at + word.len()) } else { Err(Wrong { expected: "a value", at }) }
}

fn digits(bytes: &[u8], mut at: usize) -> Result<usize, Wrong> {
    let from = at;
    while let Some(b'0'..=b'9') = bytes.get(at) {
        at += 1;
    }
    if at == from { Err(Wrong { expected: "a digit", at }) } else { Ok(at) }
}

/// The end of the number at `at`.
fn number(bytes: &[u8], mut at: usize) -> Result<usize, Wrong> {
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    // A leading zero stands alone.
    at = if bytes.get(at) == Some(&b'0') { at + 1 } else { digits(bytes, at)? };
    if bytes.get(at) == Some(&b'.') {
        at = digits(bytes, at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = bytes.get(at) {
            at += 1;
        }
        at = digits(bytes, at)?;
    }
    Ok(at)
}

/// The end of the string whose quote is at `at`.
fn string(bytes: &[u8], at: usize) -> Result<usize, Wrong> {
    let mut at = special(bytes, at + 1);
    loop {
        match bytes.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => match bytes.get(at + 1) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => at += 2,
                Some(b'u') if bytes.get(at + 2..at + 6).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) => {
                    at += 6;
                }
                _ => return Err(Wrong { expected: "an escape", at }),
            },
            Some(_) => return Err(Wrong { expected: "no control character in a string", at }),
            None => return Err(Wrong { expected: "the end of a string", at }),
        }
        at = special(bytes, at);
    }
}

/// The end of the value at `at`, whatever it is. Without recursion: depth costs one bit a level.
fn value(bytes: &[u8], at: usize) -> Result<usize, Wrong> {
    let mut at = at;
    // One bit a level, the innermost lowest: set in an object.
    let (mut depth, mut objects) = (0u32, 0u64);
    loop {
        // A value begins here.
        at = skip_space(bytes, at);
        let opened = match bytes.get(at) {
            Some(b'"') => {
                at = string(bytes, at)?;
                false
            }
            Some(b'-' | b'0'..=b'9') => {
                at = number(bytes, at)?;
                false
            }
            Some(b't') => {
                at = literal(bytes, at, b"true")?;
                false
            }
            Some(b'f') => {
                at = literal(bytes, at, b"false")?;
                false
            }
            Some(b'n') => {
                at = literal(bytes, at, b"null")?;
                false
            }
            Some(open @ (b'{' | b'[')) => {
                if depth == MAX_DEPTH {
                    return Err(Wrong { expected: "at most 64 levels", at });
                }
                depth += 1;
                objects = objects << 1 | u64::from(*open == b'{');
                at += 1;
                true
            }
            _ => return Err(Wrong { expected: "a value", at }),
        };
        // What follows: the first member, the next one, or ends.
        let mut first = opened;
        loop {
            if depth == 0 {
                return Ok(at);
            }
            let in_object = objects & 1 == 1;
            at = skip_space(bytes, at);
            match bytes.get(at) {
                Some(b'}') if in_object => {}
                Some(b']') if !in_object => {}
                Some(b',') if !first => {
                    at += 1;
                    if in_object {
                        at = key(bytes, at)?;
                    }
                    break;
                }
                Some(_) if first => {
                    if in_object {
                        at = key(bytes, at)?;
                    }
                    break;
                }
                _ => return Err(Wrong { expected: "a comma or the end of the object or array", at }),
            }
            at += 1;
            depth -= 1;
            objects >>= 1;
            first = false;
        }
    }
}

/// The end of a key and its colon.
fn key(bytes: &[u8], at: usize) -> Result<usize, Wrong> {
    let at = skip_space(bytes, at);
    if bytes.get(at) != Some(&b'"') {
        return Err(Wrong { expected: "a key", at });
    }
    let at = skip_space(bytes, string(bytes, at)?);
    if bytes.get(at) != Some(&b':') {
        return Err(Wrong { expected: "a colon", at });
    }
    Ok(at + 1)
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
