//! Avro binary encoding of our records, written by hand so that the hot path allocates nothing: [`Reader`] walks a body and hands
//! out slices of it, [`write`] appends to a buffer. The generated types and [`crate::visit()`] share both.

mod error;
mod reader;
pub mod write;

pub use error::{DecodeError, DecodeErrorKind};
pub use reader::Reader;
