//! What stands beside the committed offset: what a sink is about to insert, and of which topic the offset speaks.

use serde::{Deserialize, Serialize};

/// A note beside a committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Nothing, as somebody else commits.
    Empty,
    /// Everything below the offset is in the sink, and the offset is one of this topic.
    Delivered(Delivered),
    /// A batch from the offset on may be in the sink.
    Intended(Intent),
}

/// The topic that an offset speaks of: one of the same name that is made anew has offsets of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivered {
    /// The topic's identity.
    pub topic_id: String,
}

impl Note {
    /// Reads the metadata beside an offset.
    ///
    /// # Errors
    /// Where somebody else wrote it.
    pub fn decode(metadata: &str) -> Result<Self, serde_json::Error> {
        if metadata.is_empty() {
            return Ok(Self::Empty);
        }
        match serde_json::from_str(metadata) {
            Ok(delivered) => Ok(Self::Delivered(delivered)),
            Err(_) => serde_json::from_str(metadata).map(Self::Intended),
        }
    }

    /// The text of a note that all below the offset is delivered.
    pub fn delivered(topic_id: &str) -> String {
        // A struct of one string is always JSON.
        serde_json::to_string(&Delivered { topic_id: topic_id.to_owned() }).unwrap_or_default()
    }

    /// The topic that the offset speaks of, where the note says it.
    pub fn topic_id(&self) -> Option<&str> {
        match self {
            Self::Empty => None,
            Self::Delivered(delivered) => Some(&delivered.topic_id),
            Self::Intended(intent) => Some(&intent.topic_id),
        }
    }
}

/// An intent: committed as metadata before the insert, with the offset unchanged. JSON, so that a human with the log's own tools
/// can read what a stopped sink was about to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// Offset of the first delivered record.
    pub first: u64,
    /// Offset of the last delivered record.
    pub last: u64,
    /// Rows of the batch.
    pub rows: u64,
    /// Its content hash.
    #[serde(with = "hex")]
    pub content_hash: u64,
    /// The topic's identity.
    pub topic_id: String,
    /// Wall clock when it was recorded, milliseconds since the epoch: no insert starts later than half the sink's memory after it.
    pub at_ms: i64,
}

impl Intent {
    /// The metadata's text: well under the 3,000 bytes that a log keeps.
    pub fn encode(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// Reads metadata: `None` where there is no intent.
    ///
    /// # Errors
    /// Where somebody else wrote it.
    pub fn decode(metadata: &str) -> Result<Option<Self>, serde_json::Error> {
        match Note::decode(metadata)? {
            Note::Intended(intent) => Ok(Some(intent)),
            Note::Delivered(_) | Note::Empty => Ok(None),
        }
    }

    /// Whether both name the same batch, whenever they were recorded.
    pub fn same_batch(&self, other: &Self) -> bool {
        Self { at_ms: 0, ..self.clone() } == Self { at_ms: 0, ..other.clone() }
    }
}

/// As hexadecimal text: JSON numbers lose digits of 64-bit values in some readers.
mod hex {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{value:016x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_back_and_stays_small() {
        let intent = Intent {
            first: u64::MAX - 1,
            last: u64::MAX,
            rows: u64::MAX,
            content_hash: 0x00ab_cdef,
            topic_id: "t".repeat(249),
            at_ms: i64::MIN,
        };
        let text = intent.encode().unwrap();
        assert!(text.len() < 3_000, "{}", text.len());
        assert_eq!(Intent::decode(&text).unwrap(), Some(intent));
    }

    #[test]
    fn foreign_metadata_is_an_error_and_none_is_none() {
        assert_eq!(Intent::decode("").unwrap(), None);
        assert!(Intent::decode("somebody else's note").is_err());
        assert!(Intent::decode(r#"{"topic_id":"t","by":"somebody else"}"#).is_err());
    }

    #[test]
    fn a_delivered_offset_names_its_topic() {
        let note = Note::decode(&Note::delivered("t\"1")).unwrap();
        assert_eq!((note.topic_id(), Intent::decode(&Note::delivered("t")).unwrap()), (Some("t\"1"), None));
        assert_eq!(Note::decode("").unwrap().topic_id(), None);
    }

    #[test]
    fn the_time_does_not_make_another_batch() {
        let intent = Intent { first: 1, last: 2, rows: 2, content_hash: 3, topic_id: "t".into(), at_ms: 4 };
        assert!(intent.same_batch(&Intent { at_ms: 5, ..intent.clone() }));
        assert!(!intent.same_batch(&Intent { rows: 1, ..intent.clone() }));
    }
}
