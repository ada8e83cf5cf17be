//! What can be wrong with an Avro body.

use std::fmt;

/// Why a body could not be decoded, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The record that was being read; the nested one where the damage lies inside it.
    pub record: &'static str,
    /// The field that was being read; empty where the damage lies after the last one.
    pub field: &'static str,
    /// Byte position in the body (the frame's five bytes not counted) at which reading stopped.
    pub position: usize,
    /// What was wrong there.
    pub kind: DecodeErrorKind,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { record, field, position, kind } = self;
        if field.is_empty() {
            write!(f, "record {record}: {kind} at byte {position}")
        } else {
            write!(f, "record {record}, field {field}: {kind} at byte {position}")
        }
    }
}

impl std::error::Error for DecodeError {}

/// The kinds of damage an Avro body can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeErrorKind {
    /// The body ends inside the field, or a length points beyond its end.
    #[error("the body ends too early")]
    Truncated,
    /// A variable-length integer that does not fit its type.
    #[error("the integer does not fit its type")]
    IntegerOverflow,
    /// A negative length.
    #[error("the length is negative")]
    NegativeLength,
    /// A string that is not UTF-8.
    #[error("the string is not UTF-8")]
    InvalidUtf8,
    /// A boolean other than 0 and 1.
    #[error("the boolean is neither 0 nor 1")]
    InvalidBool,
    /// A union branch other than null and the field's type.
    #[error("the union has no such branch")]
    InvalidBranch,
    /// An id that is not 32 lower-case hexadecimal digits.
    #[error("the id is not 32 lower-case hexadecimal digits")]
    InvalidId,
    /// A decimal beyond 18 digits.
    #[error("the decimal has more than 18 digits")]
    DecimalOverflow,
    /// More array items than the rest of the body can hold.
    #[error("the array claims more items than the body can hold")]
    TooManyItems,
    /// Bytes after the last field.
    #[error("bytes follow the last field")]
    TrailingBytes,
}
