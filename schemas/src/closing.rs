//! What a control record of kind [`NAMESPACE_CLOSED_KIND`] says: that a namespace was handed over to another one.
//!
//! From this record on a partition of the first stage accepts nothing and lets no time pass, so that what the namespace has written is
//! what it will ever have written. A later record of the kind without successor opens it again.

use serde::{Deserialize, Serialize};

/// The kind of such control records.
pub const NAMESPACE_CLOSED_KIND: &str = "namespace_closed";

/// The body of such a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closing {
    /// The prefix of the namespace that takes over; `None` where this one is open again.
    pub successor: Option<String>,
}

impl Closing {
    /// The body as text.
    pub fn body(&self) -> String {
        serde_json::json!({ "successor": self.successor }).to_string()
    }

    /// Reads a body.
    ///
    /// # Errors
    /// Where it is not one, in words.
    pub fn parse(body: &str) -> Result<Self, String> {
        serde_json::from_str(body).map_err(|error| format!("{NAMESPACE_CLOSED_KIND}: {error}"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_as_it_was_written() {
        for successor in [Some("rebuilt.".to_owned()), None] {
            let closing = Closing { successor };
            assert_eq!(Closing::parse(&closing.body()).unwrap(), closing);
        }
        assert!(Closing::parse("{}").is_ok_and(|closing| closing.successor.is_none()));
        assert!(Closing::parse("[").is_err() && Closing::parse(r#"{"to":"x"}"#).is_err());
    }
}
