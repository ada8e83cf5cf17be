//! Bytes that should be text.

use ascii::AsAsciiStr;
use std::str::Utf8Error;

/// Below this many bytes, a word at a time is faster than vectors.
const SHORT_BYTES: usize = 64;

/// The text that `bytes` are.
///
/// As `str::from_utf8`, which takes a multiple of the time: for the short ASCII strings that nearly all text in records and events
/// is, because it goes byte by byte up to where it can read aligned words; for long ones, because it reads no vectors.
#[inline]
pub fn text(bytes: &[u8]) -> Result<&str, Utf8Error> {
    let fast = if bytes.len() < SHORT_BYTES {
        bytes.as_ascii_str().ok().map(|ascii| ascii.as_str())
    } else {
        simdutf8::basic::from_utf8(bytes).ok()
    };
    match fast {
        Some(text) => Ok(text),
        // Other text; or none, and then this says from where.
        None => std::str::from_utf8(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::text;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_the_standard_library(bytes in prop_oneof![
            any::<Vec<u8>>(),
            "[a-z]{0,80}".prop_map(String::into_bytes),
            "\\PC{0,40}".prop_map(String::into_bytes),
            ("[a-z]{0,80}", any::<u8>(), "[a-z]{0,80}").prop_map(|(a, b, c)| [a.as_bytes(), &[b], c.as_bytes()].concat()),
        ]) {
            prop_assert_eq!(text(&bytes), std::str::from_utf8(&bytes));
        }
    }
}
