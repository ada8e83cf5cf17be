//! Writes Avro values. Writing cannot fail.
//!
//! [`Writer`] is for whole records; the functions append single values to a buffer.

use crate::decimal::Decimal;
use crate::id::Id;

/// Writes a body into a buffer, behind what is in it; [`Writer::finish`] ends it.
///
/// Room is made in stretches, of zeros: so a null, which is a zero byte, takes no more than a step, and no value needs to check the
/// buffer's capacity on its own.
#[derive(Debug)]
pub struct Writer<'o> {
    /// Zeros from `at` on.
    out: &'o mut Vec<u8>,
    /// The end of what is written. Nulls may take it beyond the room that was made.
    at: usize,
    stretch_bytes: usize,
}

impl<'o> Writer<'o> {
    /// Begins behind what is in `out`. Room is made for `stretch_bytes` more than are needed each time there is too little.
    #[inline]
    pub fn new(out: &'o mut Vec<u8>, stretch_bytes: usize) -> Self {
        let mut writer = Self { at: out.len(), out, stretch_bytes };
        writer.make_room(0);
        writer
    }

    /// Ends the body. Without it, zeros may follow what was written, or nulls be missing.
    #[inline]
    pub fn finish(self) {
        self.out.resize(self.at, 0);
    }

    #[inline(never)]
    fn make_room(&mut self, needed_bytes: usize) {
        let least = self.at + needed_bytes;
        let wanted = least + self.stretch_bytes;
        // Whoever made the buffer may have known how much there will be: its capacity is used up before it is enlarged.
        let len = if least <= self.out.capacity() { wanted.min(self.out.capacity()) } else { wanted };
        self.out.resize(len, 0);
    }

    /// The next `N` bytes, all zeros; `None` where room must be made first. What is written to them counts once `at` is behind it.
    #[inline(always)]
    fn room<const N: usize>(&mut self) -> Option<&mut [u8; N]> {
        self.out.get_mut(self.at..)?.first_chunk_mut()
    }

    #[inline(always)]
    fn byte(&mut self, byte: u8) {
        match self.out.get_mut(self.at) {
            Some(room) => *room = byte,
            None => self.byte_far(byte),
        }
        self.at += 1;
    }

    #[cold]
    #[inline(never)]
    fn byte_far(&mut self, byte: u8) {
        self.make_room(1);
        self.out[self.at] = byte;
    }

    /// A null, which is an optional field's empty branch.
    #[inline(always)]
    fn null(&mut self) {
        self.at += 1;
    }

    /// A long: zigzag, seven bits a byte, lowest first.
    #[inline(always)]
    pub fn long(&mut self, value: i64) {
        let raw = zigzag(value);
        if raw < 0x80 {
            self.byte(raw as u8);
        } else {
            self.long_far(raw);
        }
    }

    #[inline(never)]
    fn long_far(&mut self, raw: u64) {
        match self.room::<8>() {
            Some(room) if raw < EIGHT_BYTES => {
                let (word, len) = seven_bits_a_byte(raw);
                *room = word.to_le_bytes();
                self.at += len;
            }
            _ => self.long_by_byte(raw),
        }
    }

    /// The same, where it may take more than eight bytes or there is no room.
    #[cold]
    #[inline(never)]
    fn long_by_byte(&mut self, raw: u64) {
        let (bytes, len) = seven_bits_by_byte(raw);
        bytes[..len].iter().for_each(|byte| self.byte(*byte));
    }

    /// An int.
    #[inline(always)]
    pub fn int(&mut self, value: i32) {
        self.long(i64::from(value));
    }

    /// A boolean.
    #[inline(always)]
    pub fn bool(&mut self, value: bool) {
        self.byte(u8::from(value));
    }

    /// A double.
    #[inline(always)]
    pub fn double(&mut self, value: f64) {
        self.raw(&value.to_le_bytes());
    }

    /// Bytes.
    #[inline(never)]
    pub fn bytes(&mut self, value: &[u8]) {
        let len = value.len();
        match self.room::<SHORT>() {
            Some(room) if len < SHORT => {
                room[0] = (len << 1) as u8;
                copy_short(value, &mut room[1..=len]);
                self.at += 1 + len;
            }
            _ => self.bytes_far(value),
        }
    }

    #[inline(never)]
    fn bytes_far(&mut self, value: &[u8]) {
        self.long(value.len() as i64);
        self.raw(value);
    }

    /// Bytes as they are, without their length.
    #[inline(always)]
    fn raw(&mut self, bytes: &[u8]) {
        match self.out.get_mut(self.at..self.at + bytes.len()) {
            Some(room) => room.copy_from_slice(bytes),
            None => self.raw_far(bytes),
        }
        self.at += bytes.len();
    }

    #[cold]
    #[inline(never)]
    fn raw_far(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len());
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
    }

    /// A string.
    #[inline(always)]
    pub fn str(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    /// An id, as 32 lower-case hexadecimal digits.
    #[inline(never)]
    pub fn id(&mut self, value: Id) {
        match self.room::<33>() {
            Some([len, digits @ ..]) => {
                // 32, zigzag.
                *len = 64;
                *digits = value.to_hex();
                self.at += 33;
            }
            None => self.bytes_far(&value.to_hex()),
        }
    }

    /// A decimal: its mantissa as the shortest big-endian two's complement.
    pub fn decimal(&mut self, value: Decimal) {
        let (all, from) = shortest(value);
        self.bytes(&all[from..]);
    }

    /// An optional value: the union of null and what `write` writes.
    #[inline(always)]
    pub fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            None => self.null(),
            Some(value) => {
                self.byte(2);
                write(self, value);
            }
        }
    }

    /// An array, as one block.
    #[inline]
    pub fn array<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        if !items.is_empty() {
            self.long(items.len() as i64);
            for item in items {
                write(self, item);
            }
        }
        self.byte(0);
    }
}

#[inline(always)]
fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

/// Below this, eight bytes of seven bits are enough.
const EIGHT_BYTES: u64 = 1 << 56;

/// Seven bits a byte, lowest first, each byte but the last marked; and how many bytes these are. All at once: halves, quarters and
/// eighths are moved apart.
#[inline(always)]
fn seven_bits_a_byte(raw: u64) -> (u64, usize) {
    let spread = (raw & 0x00ff_ffff_f000_0000) << 4 | raw & 0x0fff_ffff;
    let spread = (spread & 0x0fff_c000_0fff_c000) << 2 | spread & 0x0000_3fff_0000_3fff;
    let spread = (spread & 0x3f80_3f80_3f80_3f80) << 1 | spread & 0x007f_007f_007f_007f;
    let last = (63 - (spread | 1).leading_zeros()) / 8;
    let marks = 0x8080_8080_8080_8080 & ((1 << (8 * last)) - 1);
    (spread | marks, last as usize + 1)
}

/// The same for any value, byte by byte.
fn seven_bits_by_byte(mut raw: u64) -> ([u8; 10], usize) {
    let (mut bytes, mut len) = ([0u8; 10], 0);
    while raw >= 0x80 {
        bytes[len] = raw as u8 | 0x80;
        raw >>= 7;
        len += 1;
    }
    bytes[len] = raw as u8;
    (bytes, len + 1)
}

/// Text below this many bytes has a length of one byte.
const SHORT: usize = 64;

/// Copies what is [`SHORT`], by a first and a last piece that may overlap: for so little, a call of the general copy takes longer.
#[inline(always)]
fn copy_short(from: &[u8], to: &mut [u8]) {
    /// The first and the last `N` bytes.
    #[inline(always)]
    fn ends<const N: usize>(from: &[u8], to: &mut [u8]) -> bool {
        if let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>())
            && let Some(to_first) = to.first_chunk_mut::<N>()
        {
            *to_first = *first;
            if let Some(to_last) = to.last_chunk_mut::<N>() {
                *to_last = *last;
            }
            return true;
        }
        false
    }
    if from.len() > 32 {
        to.copy_from_slice(from);
    } else if !(ends::<16>(from, to) || ends::<8>(from, to) || ends::<4>(from, to) || ends::<2>(from, to)) {
        ends::<1>(from, to);
    }
}

/// A mantissa's bytes, and where they begin: leading bytes that only repeat the sign are left out; one byte always stays.
#[inline(always)]
fn shortest(value: Decimal) -> ([u8; 8], usize) {
    let mantissa = value.mantissa();
    let sign_bits = if mantissa < 0 { mantissa.leading_ones() } else { mantissa.leading_zeros() };
    (mantissa.to_be_bytes(), ((sign_bits - 1) / 8) as usize)
}

/// A long: zigzag, seven bits a byte, lowest first.
#[inline(always)]
pub fn long(out: &mut Vec<u8>, value: i64) {
    let raw = zigzag(value);
    if raw < 0x80 {
        out.push(raw as u8);
    } else {
        let (bytes, len) = seven_bits_by_byte(raw);
        out.extend_from_slice(&bytes[..len]);
    }
}

/// A boolean.
#[inline(always)]
pub fn bool(out: &mut Vec<u8>, value: bool) {
    out.push(u8::from(value));
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
    bytes(out, &value.to_hex());
}

/// A decimal: its mantissa as the shortest big-endian two's complement.
#[inline]
pub fn decimal(out: &mut Vec<u8>, value: Decimal) {
    let (all, from) = shortest(value);
    bytes(out, &all[from..]);
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
