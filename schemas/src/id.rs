//! 128-bit ids: of sources, persons, sessions and idempotency keys.

use std::fmt;
use std::str::FromStr;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// A 128-bit hash (xxh3) of the parts that make a thing what it is. Written as 32 lower-case hexadecimal digits.
///
/// Not a secret: whoever knows the parts can compute it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u128);

/// Parts up to this many bytes in all are hashed in one go, from the stack.
const STACK_BYTES: usize = 256;

impl Id {
    /// The id of `parts`. Each part is preceded by its length, so that `["ab", "c"]` and `["a", "bc"]` differ.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut buffer = [0u8; STACK_BYTES];
        let mut at = 0;
        for part in parts {
            let end = at + size_of::<u32>() + part.len();
            let Some((len, bytes)) = buffer.get_mut(at..end).and_then(|room| room.split_first_chunk_mut()) else {
                return Self::of_long(parts);
            };
            *len = part_len(part);
            bytes.copy_from_slice(part);
            at = end;
        }
        Self(xxh3_128(&buffer[..at]))
    }

    #[cold]
    fn of_long(parts: &[&[u8]]) -> Self {
        let mut hasher = Xxh3::new();
        for part in parts {
            hasher.update(&part_len(part));
            hasher.update(part);
        }
        Self(hasher.digest128())
    }

    /// The id's 32 lower-case hexadecimal digits.
    #[inline]
    pub fn to_hex(self) -> [u8; 32] {
        let mut hex = [0u8; 32];
        for (digits, bytes) in hex.as_chunks_mut::<8>().0.iter_mut().zip(self.0.to_be_bytes().as_chunks::<4>().0) {
            *digits = eight_digits(u32::from_be_bytes(*bytes)).to_be_bytes();
        }
        hex
    }

    /// Reads 32 lower-case hexadecimal digits; anything else is `None`, so that an id has one spelling only.
    #[inline]
    pub fn from_hex(hex: &[u8]) -> Option<Self> {
        let hex: &[u8; 32] = hex.try_into().ok()?;
        // Plain loops over fixed arrays, without tables: the compiler makes vectors of them.
        let mut nibbles = [0u8; 32];
        let mut wrong = 0u8;
        for (nibble, digit) in nibbles.iter_mut().zip(hex) {
            let (decimal, letter) = (digit.wrapping_sub(b'0'), digit.wrapping_sub(b'a'));
            wrong |= u8::from(decimal > 9) & u8::from(letter > 5);
            *nibble = if decimal > 9 { letter.wrapping_add(10) } else { decimal };
        }
        let mut bytes = [0u8; 16];
        for at in 0..16 {
            bytes[at] = nibbles[2 * at] << 4 | nibbles[2 * at + 1] & 0x0f;
        }
        (wrong == 0).then(|| Self(u128::from_be_bytes(bytes)))
    }
}

/// The eight lower-case hexadecimal digits of `part`, the first in the highest byte. All at once: no branch, no table.
#[inline(always)]
fn eight_digits(part: u32) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let nibbles = u64::from(part);
    let nibbles = (nibbles | nibbles << 16) & 0x0000_ffff_0000_ffff;
    let nibbles = (nibbles | nibbles << 8) & 0x00ff_00ff_00ff_00ff;
    let nibbles = (nibbles | nibbles << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    // Adding six carries into the upper half of a byte from ten on: there, letters take the place of digits.
    let letters = (nibbles + ONES * 6) >> 4 & ONES;
    nibbles + ONES * b'0' as u64 + letters * (b'a' - b'9' - 1) as u64
}

fn part_len(part: &[u8]) -> [u8; 4] {
    // Parts are bounded strings; one beyond 4 GiB would only lose the length's high bits, never the bytes.
    (part.len() as u32).to_le_bytes()
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A text that is not 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is 32 lower-case hexadecimal digits")]
pub struct InvalidId;

impl FromStr for Id {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::from_hex(text.as_bytes()).ok_or(InvalidId)
    }
}

/// The idempotency key of a record: equal for equal (topic, key, revision), so that a subscriber can drop what it has seen.
pub fn idempotency_key(topic: &str, key: &[&[u8]], revision: i64) -> Id {
    let key = Id::of(key).0.to_be_bytes();
    Id::of(&[topic.as_bytes(), &key, &revision.to_be_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(Id::of(&[b"ab", b"c"]), Id::of(&[b"a", b"bc"]));
        assert_ne!(Id::of(&[b"ab"]), Id::of(&[b"ab", b""]));
    }

    #[test]
    fn long_and_short_parts_hash_alike() {
        // 126 + 122 + two lengths is exactly the stack's 256 bytes; one more byte takes the other way.
        for len in [121usize, 122, 123, 500] {
            let (a, b) = (vec![7u8; 126], vec![9u8; len]);
            let mut joined = Vec::new();
            for part in [&a, &b] {
                joined.extend_from_slice(&(part.len() as u32).to_le_bytes());
                joined.extend_from_slice(part);
            }
            assert_eq!(Id::of(&[&a, &b]), Id(xxh3_128(&joined)), "{len}");
        }
    }

    #[test]
    fn hex_is_canonical() {
        let id = Id::of(&[b"shop", b"device"]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().as_bytes(), id.to_hex());
        assert_eq!("0123456789ABCDEF0123456789ABCDEF".parse::<Id>(), Err(InvalidId));
        assert_eq!("0123".parse::<Id>(), Err(InvalidId));
        assert_eq!("0123456789abcdef0123456789abcdeg".parse::<Id>(), Err(InvalidId));
        assert_eq!(Id(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210).to_hex(), *b"0123456789abcdeffedcba9876543210");
        // Whatever byte stands at whatever place: only the sixteen digits are read, and are written back.
        for at in 0..32 {
            for byte in 0..=u8::MAX {
                let mut hex = *b"0123456789abcdeffedcba9876543210";
                hex[at] = byte;
                let read = matches!(byte, b'0'..=b'9' | b'a'..=b'f').then_some(hex);
                assert_eq!(Id::from_hex(&hex).map(Id::to_hex), read, "{byte} at {at}");
            }
        }
    }

    #[test]
    fn the_hash_is_part_of_the_contract() {
        // Stored ids must stay what they are: this value may never change.
        assert_eq!(Id::of(&[b"shop", b"device-1"]).to_string(), "6839d784db23305ffe9b92ea914b74e9");
    }
}
