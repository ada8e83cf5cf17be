//! Where JSON's values end: checks a text without interpreting it.

use super::Reason;
use super::error::{Read, fault};
use memchr::memchr2;

/// Objects and arrays may be nested this deep.
const MAX_DEPTH: u32 = 64;

/// What the text lacks, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wrong {
    expected: &'static str,
    at: usize,
}

impl Wrong {
    #[cold]
    pub(super) fn fail<T>(self) -> Read<T> {
        syntax(self.expected, self.at)
    }
}

#[cold]
pub(super) fn syntax<T>(expected: &'static str, at: usize) -> Read<T> {
    fault(Reason::InvalidJson, format!("expected {expected} at byte {at}"))
}

/// The position of the first byte from `at` that is not space.
#[inline(always)]
pub(super) fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// What can end a plain string in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// Quotes and backslashes: the text has no control characters. So senders write almost all.
    Marks,
    /// Control characters too, which a string may not hold.
    MarksAndControls,
}

impl Ends {
    /// What can end a plain string in `bytes`.
    #[inline]
    pub(super) fn of(bytes: &[u8]) -> Self {
        // The least byte, without a way out: so the compiler takes sixteen at a time.
        if bytes.iter().fold(u8::MAX, |least, byte| least.min(*byte)) < 0x20 {
            Self::MarksAndControls
        } else {
            Self::Marks
        }
    }
}

/// The position of the first byte from `at` that ends a plain string: a quote, a backslash or a control character; the end, where
/// there is none.
#[inline(always)]
pub(super) fn special(bytes: &[u8], at: usize, ends: Ends) -> usize {
    // Many keys and words end at once: that is cheaper looked at here than by a call.
    match special_in_word(bytes, at) {
        Some(end) => end,
        None => special_far(bytes, at, ends),
    }
}

/// The same, if it is among the next eight bytes.
#[inline(always)]
pub(super) fn special_in_word(bytes: &[u8], at: usize) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_le_bytes(*bytes.get(at..)?.first_chunk::<8>()?);
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    // The classic tests for a zero byte and for a byte below 0x20; their lowest hit is exact.
    let hit = (quote.wrapping_sub(ONES) & !quote
        | backslash.wrapping_sub(ONES) & !backslash
        | word.wrapping_sub(ONES * 0x20) & !word)
        & (ONES << 7);
    (hit != 0).then_some(at + (hit.trailing_zeros() / 8) as usize)
}

#[inline(never)]
fn special_far(bytes: &[u8], at: usize, ends: Ends) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    let end = match ends {
        Ends::Marks => memchr2(b'"', b'\\', rest),
        Ends::MarksAndControls => rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)),
    };
    end.map_or(bytes.len(), |len| at + len)
}

pub(super) fn literal(bytes: &[u8], at: usize, word: &'static [u8]) -> Result<usize, Wrong> {
    if bytes[at..].starts_with(word) { Ok(at + word.len()) } else { Err(Wrong { expected: "a value", at }) }
}

fn digits(bytes: &[u8], at: usize) -> Result<usize, Wrong> {
    let rest = bytes.get(at..).unwrap_or_default();
    match rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len()) {
        0 => Err(Wrong { expected: "a digit", at }),
        len => Ok(at + len),
    }
}

/// The end of the number at `at`.
pub(super) fn number(bytes: &[u8], mut at: usize) -> Result<usize, Wrong> {
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
pub(super) fn string(bytes: &[u8], at: usize, ends: Ends) -> Result<usize, Wrong> {
    let mut at = special(bytes, at + 1, ends);
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
        at = special(bytes, at, ends);
    }
}

/// The end of the value at `at`, whatever it is. Without recursion: depth costs one bit a level.
pub(super) fn value(bytes: &[u8], at: usize, ends: Ends) -> Result<usize, Wrong> {
    let mut at = at;
    // One bit a level, the innermost lowest: set in an object.
    let (mut depth, mut objects) = (0u32, 0u64);
    loop {
        // A value begins here.
        at = skip_space(bytes, at);
        let opened = match bytes.get(at) {
            Some(b'"') => {
                at = string(bytes, at, ends)?;
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
                        at = key(bytes, at, ends)?;
                    }
                    break;
                }
                Some(_) if first => {
                    if in_object {
                        at = key(bytes, at, ends)?;
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
fn key(bytes: &[u8], at: usize, ends: Ends) -> Result<usize, Wrong> {
    let at = skip_space(bytes, at);
    if bytes.get(at) != Some(&b'"') {
        return Err(Wrong { expected: "a key", at });
    }
    let at = skip_space(bytes, string(bytes, at, ends)?);
    if bytes.get(at) != Some(&b':') {
        return Err(Wrong { expected: "a colon", at });
    }
    Ok(at + 1)
}

#[cfg(test)]
mod tests {
    use super::{Ends, special};

    #[test]
    fn a_plain_string_ends_where_a_byte_by_byte_search_says() {
        // Also bytes that differ from those searched for in their high bit only.
        for filler in [b'x', b' ', 0x7f, 0x80, 0x9f, b'"' | 0x80, b'\\' | 0x80, 0xff] {
            for len in 0..72 {
                let mut text = vec![filler; len];
                assert_eq!(special(&text, 0, Ends::of(&text)), len);
                for (at, ending) in (0..len).zip([b'"', b'\\', 0x00, 0x1f].into_iter().cycle()) {
                    text[at] = ending;
                    let ends = Ends::of(&text);
                    assert_eq!(ends == Ends::MarksAndControls, ending < 0x20);
                    for from in 0..=len {
                        let rest = text[from..].iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
                        let end = rest.map_or(len, |found| from + found);
                        assert_eq!(special(&text, from, ends), end, "{text:?} from {from}");
                        // What looks for more finds the same.
                        assert_eq!(special(&text, from, Ends::MarksAndControls), end, "{text:?} from {from}");
                    }
                    text[at] = filler;
                }
            }
        }
    }
}
