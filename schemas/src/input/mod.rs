//! What comes in: the parser of the event catalogue, and the reasons for which something is refused.
//!
//! [`parse_event`] reads one event in one pass and borrows from it; [`parse_batch`] splits a request into events without
//! interpreting them; [`parse_envelope`] reads the little that routing needs.

mod batch;
mod envelope;
mod error;
mod extra;
#[rustfmt::skip]
mod generated;
mod scan;
mod skip;
mod time;
mod values;

pub use batch::{Batch, parse_batch};
pub use envelope::{Envelope, parse_envelope};
pub use error::InputError;
pub use extra::Extra;
pub use generated::*;
pub use time::{TIME_RANGE_MS, format_time, parse_time};

use scan::Scanner;

/// Parses one event of the native format.
///
/// Empty strings and nulls count as not given, so that an empty user id joins nobody. Of a key that is there twice the last one
/// holds. Unknown fields are kept in [`InputEvent::extra`].
pub fn parse_event(payload: &[u8]) -> Result<InputEvent<'_>, InputError> {
    let mut scanner = Scanner::new(payload)?;
    let mut event = generated::empty_event();
    generated::read_event(&mut scanner, &mut event).map_err(|error| *error)?;
    generated::check_required(&event).map_err(|error| *error)?;
    Ok(event)
}
