//! How state is encoded, on its way to another partition and into snapshots: Avro's primitives in a fixed order, read with a bound on
//! everything.
//!
//! Reading is total: whatever the bytes are, the result is a state or a [`StateError`]. A count is bounded by the limit of what it
//! counts, or by the bytes that are left, for room is made only for items that prove to be there.

use millstream_schemas::avro::{DecodeErrorKind, Reader};
use millstream_schemas::{HandOver, Id};

pub use millstream_schemas::avro::write;

use super::EventOrder;

/// Why an encoded state cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Another version wrote it.
    #[error(
        "state version {found} is unknown to this program, which knows versions up to {known}; drain with the program that wrote it first"
    )]
    Version {
        /// The version it says.
        found: i32,
        /// The latest that is known.
        known: i32,
    },
    /// It is damaged.
    #[error("the state is damaged: {kind} at byte {position}")]
    Damaged {
        /// What is wrong there.
        kind: DecodeErrorKind,
        /// Where reading stopped, counted without the version.
        position: usize,
    },
    /// It claims more than can be.
    #[error("the state holds {count} {what}, at most {limit} can be")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: i64,
        /// How many there may be.
        limit: usize,
    },
    /// It can be read but says what cannot be.
    #[error("the state holds {0}")]
    Impossible(String),
}

impl StateError {
    /// For what can be read but cannot be.
    #[cold]
    pub fn impossible(what: impl Into<String>) -> Self {
        Self::Impossible(what.into())
    }
}

/// Reads an encoded state.
#[derive(Debug)]
pub struct StateReader<'a> {
    reader: Reader<'a>,
}

impl<'a> StateReader<'a> {
    /// Reads bytes without a version.
    pub fn new(bytes: &'a [u8]) -> Self {
        // Only errors of whole records would name it.
        Self { reader: Reader::new(HandOver::RECORD, bytes) }
    }

    /// Reads bytes that begin with their version, one byte, from 1 to `known`; returns it too.
    pub fn versioned(bytes: &'a [u8], known: u8) -> Result<(u8, Self), StateError> {
        match bytes.split_first() {
            Some((&found, rest)) if (1..=known).contains(&found) => Ok((found, Self::new(rest))),
            Some((&found, _)) => Err(StateError::Version { found: found.into(), known: known.into() }),
            None => Err(StateError::Damaged { kind: DecodeErrorKind::Truncated, position: 0 }),
        }
    }

    #[cold]
    fn damaged(&self, kind: DecodeErrorKind) -> StateError {
        StateError::Damaged { kind, position: self.reader.error(kind).position }
    }

    /// A long.
    #[inline]
    pub fn long(&mut self) -> Result<i64, StateError> {
        self.reader.long().map_err(|kind| self.damaged(kind))
    }

    /// A long that fits a smaller type.
    #[inline]
    pub fn small<T: TryFrom<i64>>(&mut self) -> Result<T, StateError> {
        let value = self.long()?;
        T::try_from(value).map_err(|_| self.damaged(DecodeErrorKind::IntegerOverflow))
    }

    /// A boolean.
    #[inline]
    pub fn bool(&mut self) -> Result<bool, StateError> {
        self.reader.bool().map_err(|kind| self.damaged(kind))
    }

    /// A double, bit by bit; written by [`write_double`].
    #[inline]
    pub fn double(&mut self) -> Result<f64, StateError> {
        self.reader.double().map_err(|kind| self.damaged(kind))
    }

    /// Bytes.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], StateError> {
        self.reader.bytes().map_err(|kind| self.damaged(kind))
    }

    /// Bytes of a fixed number.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], StateError> {
        let bytes = self.bytes()?;
        bytes.try_into().map_err(|_| self.damaged(DecodeErrorKind::InvalidId))
    }

    /// A string.
    #[inline]
    pub fn str(&mut self) -> Result<&'a str, StateError> {
        self.reader.str().map_err(|kind| self.damaged(kind))
    }

    /// An id as its digits.
    #[inline]
    pub fn hex_id(&mut self) -> Result<Id, StateError> {
        self.reader.id().map_err(|kind| self.damaged(kind))
    }

    /// An id as its 16 bytes; written by [`write_id`].
    #[inline]
    pub fn id(&mut self) -> Result<Id, StateError> {
        Ok(Id(u128::from_be_bytes(self.array()?)))
    }

    /// A hash; written by [`write_hash`].
    #[inline]
    pub fn hash(&mut self) -> Result<u64, StateError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// The place of an event; written by [`write_order`].
    #[inline]
    pub fn order(&mut self) -> Result<EventOrder, StateError> {
        Ok(EventOrder::from_parts(self.long()?, self.long()?, self.array()?))
    }

    /// An optional value.
    #[inline]
    pub fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, StateError>,
    ) -> Result<Option<T>, StateError> {
        match self.reader.optional(|_| Ok(())).map_err(|kind| self.damaged(kind))? {
            None => Ok(None),
            Some(()) => read(self).map(Some),
        }
    }

    /// A set of flags, all of which are in `known`.
    #[inline]
    pub fn flags(&mut self, known: i64) -> Result<i64, StateError> {
        let flags = self.long()?;
        if flags & !known != 0 {
            return Err(StateError::impossible(format!("flags {flags:#x}, of which {known:#x} are known")));
        }
        Ok(flags)
    }

    /// How many of something follow.
    #[inline]
    pub fn count(&mut self, what: &'static str, limit: usize) -> Result<usize, StateError> {
        let count = self.long()?;
        usize::try_from(count).ok().filter(|&count| count <= limit).ok_or(StateError::TooMany { what, count, limit })
    }

    /// How many items follow, and the items; at most `limit`.
    #[inline]
    pub fn list<T>(
        &mut self,
        what: &'static str,
        limit: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, StateError>,
    ) -> Result<Vec<T>, StateError> {
        let count = self.count(what, limit)?;
        // Room for few: what is damaged may claim many.
        let mut items = Vec::with_capacity(count.min(16));
        for _ in 0..count {
            items.push(read(self)?);
        }
        items.shrink_to_fit();
        Ok(items)
    }

    /// Whether all is read.
    pub fn is_at_end(&self) -> bool {
        self.reader.is_at_end()
    }

    /// Checks that nothing follows.
    pub fn finish(&mut self) -> Result<(), StateError> {
        if self.is_at_end() { Ok(()) } else { Err(self.damaged(DecodeErrorKind::TrailingBytes)) }
    }
}

/// No limit but the bytes that are left: an item takes one at least.
pub const AS_MANY_AS_THERE_ARE: usize = usize::MAX;

/// Appends a number as a long.
#[inline]
pub fn write_count(out: &mut Vec<u8>, count: usize) {
    // No list has 2⁶³ items.
    write::long(out, count as i64);
}

/// Appends how many items there are, and the items.
#[inline]
pub fn write_list<'a, T: 'a>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = &'a T, IntoIter: ExactSizeIterator>,
    mut write: impl FnMut(&mut Vec<u8>, &'a T),
) {
    let items = items.into_iter();
    write_count(out, items.len());
    items.for_each(|item| write(out, item));
}

/// Appends an id as its 16 bytes.
#[inline]
pub fn write_id(out: &mut Vec<u8>, id: Id) {
    write::bytes(out, &id.0.to_be_bytes());
}

/// Appends a hash.
#[inline]
pub fn write_hash(out: &mut Vec<u8>, hash: u64) {
    write::bytes(out, &hash.to_le_bytes());
}

/// Appends a double.
#[inline]
pub fn write_double(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends the place of an event.
#[inline]
pub fn write_order(out: &mut Vec<u8>, order: &EventOrder) {
    let (time_ms, sequence, id) = order.parts();
    write::long(out, time_ms);
    write::long(out, sequence);
    write::bytes(out, id);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_said() {
        let errors = [
            StateReader::versioned(&[], 1).unwrap_err().to_string(),
            StateReader::versioned(&[2], 1).unwrap_err().to_string(),
            StateReader::new(&[1]).count("people", 5).unwrap_err().to_string(),
            StateReader::new(&[12]).count("people", 5).unwrap_err().to_string(),
            StateReader::new(&[2]).finish().unwrap_err().to_string(),
            StateReader::new(&[8]).flags(3).unwrap_err().to_string(),
            StateReader::new(&[4, 0]).array::<16>().unwrap_err().to_string(),
        ];
        for (error, part) in errors.iter().zip([
            "ends too early at byte 0",
            "version 2 is unknown",
            "-1 people, at most 5",
            "6 people, at most 5",
            "bytes follow",
            "0x4, of which 0x3",
            "ends too early at byte 1",
        ]) {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_list_that_claims_more_than_there_is_makes_no_room_for_it() {
        let mut claimed = Vec::new();
        write_count(&mut claimed, usize::MAX >> 1);
        let error = StateReader::new(&claimed).list("lines", AS_MANY_AS_THERE_ARE, StateReader::long).unwrap_err();
        assert!(matches!(error, StateError::Damaged { kind: DecodeErrorKind::Truncated, .. }));
    }
}
