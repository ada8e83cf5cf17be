//! Why an event is refused.

use super::Reason;
use std::borrow::Cow;
use std::fmt;

/// Why an event is refused: the reason (a contract), the field, and words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputError {
    /// The reason.
    pub reason: Reason,
    /// The field at fault as a path (`order.lines[2].price`, lines counted from 1); empty where it is the event as a whole.
    pub field: Cow<'static, str>,
    /// What was wrong and what is expected.
    pub detail: Cow<'static, str>,
}

impl InputError {
    /// An error that names no field.
    pub fn new(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, field: Cow::Borrowed(""), detail: detail.into() }
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, field, detail } = self;
        if field.is_empty() { write!(f, "{reason}: {detail}") } else { write!(f, "{reason} in {field}: {detail}") }
    }
}

impl std::error::Error for InputError {}

/// What reading ends in. Boxed, for errors are rare and results are moved often.
pub(super) type Read<T> = Result<T, Box<InputError>>;

#[cold]
pub(super) fn fault<T>(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Read<T> {
    Err(Box::new(InputError::new(reason, detail)))
}

/// Says which field an error is in.
pub(super) trait InField {
    /// Names the field.
    fn in_field(self, field: &'static str) -> Self;
    /// Puts an array's name and the item's number, from 1, before the field.
    fn in_item(self, array: &str, number: usize) -> Self;
}

impl<T> InField for Read<T> {
    #[inline(always)]
    fn in_field(self, field: &'static str) -> Self {
        self.map_err(|mut error| {
            // An error inside an array's item has its place already.
            if error.field.is_empty() {
                error.field = Cow::Borrowed(field);
            }
            error
        })
    }

    fn in_item(self, array: &str, number: usize) -> Self {
        self.map_err(|mut error| {
            let name = error.field.rsplit('.').next().unwrap_or_default();
            let dot = if name.is_empty() { "" } else { "." };
            error.field = Cow::Owned(format!("{array}[{number}]{dot}{name}"));
            error
        })
    }
}
