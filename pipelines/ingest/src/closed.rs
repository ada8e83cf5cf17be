//! Whether another namespace has taken over: from then on nothing is accepted and no time passes.

use millstream_operators::core::{StateError, StateReader};

/// Version of the encoding.
const VERSION: u8 = 1;

/// What control records of kind `namespace_closed` have said so far: nothing, or closed, or open again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Closed(Option<bool>);

impl Closed {
    /// Takes a record in.
    pub fn set(&mut self, is_closed: bool) {
        self.0 = Some(is_closed);
    }

    /// Whether nothing is to be accepted.
    pub fn is_closed(self) -> bool {
        self.0 == Some(true)
    }

    /// Its value in a snapshot; `None` where it never was closed, so that an older program can read the snapshots of a namespace in
    /// use, and refuses those that it would misread.
    pub fn encode(self) -> Option<Vec<u8>> {
        self.0.map(|is_closed| vec![VERSION, u8::from(is_closed)])
    }

    /// Reads what [`Closed::encode`] gave.
    ///
    /// # Errors
    /// Where it is damaged or of an unknown version.
    pub fn decode(value: &[u8]) -> Result<Self, StateError> {
        let (_, mut reader) = StateReader::versioned(value, VERSION)?;
        let closed = Self(Some(reader.bool()?));
        reader.finish()?;
        Ok(closed)
    }
}
