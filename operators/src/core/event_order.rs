//! The order of events inside the horizon: by event time, then the client's sequence, then event id. Not by arrival.

use millstream_schemas::Id;
use xxhash_rust::xxh3::xxh3_64;

/// An event's place in its source's history. Total: whatever the interleaving, the same event is first and the same is last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct EventOrder {
    /// Corrected event time, milliseconds UTC.
    pub time_ms: i64,
    /// The client's counter; events without one come first.
    sequence: i64,
    id: [u8; 16],
}

impl EventOrder {
    /// The place of an event.
    pub fn new(time_ms: i64, sequence: Option<i64>, event_id: &str) -> Self {
        Self { time_ms, sequence: sequence.unwrap_or(i64::MIN), id: image(event_id) }
    }

    /// Its parts, for encoding: (time_ms, sequence, id).
    pub fn parts(&self) -> (i64, i64, &[u8; 16]) {
        (self.time_ms, self.sequence, &self.id)
    }

    /// Made of its parts.
    pub fn from_parts(time_ms: i64, sequence: i64, id: [u8; 16]) -> Self {
        Self { time_ms, sequence, id }
    }
}

/// Sixteen bytes that order as the id does: exactly for UUIDs and 32 hexadecimal digits in lower case and for ids of up to 16 bytes.
/// A longer id keeps its first eight bytes and a hash, so that the order is fixed, if not alphabetical.
fn image(event_id: &str) -> [u8; 16] {
    let bytes = event_id.as_bytes();
    let mut image = [0u8; 16];
    if let Some(head) = image.get_mut(..bytes.len()) {
        head.copy_from_slice(bytes);
        return image;
    }
    if let Some(id) = Id::from_hex(bytes).or_else(|| uuid(bytes)) {
        return id.0.to_be_bytes();
    }
    let (head, tail) = image.split_at_mut(8);
    head.copy_from_slice(bytes.get(..8).unwrap_or_default());
    tail.copy_from_slice(&xxh3_64(bytes).to_be_bytes());
    image
}

fn uuid(bytes: &[u8]) -> Option<Id> {
    let bytes: &[u8; 36] = bytes.try_into().ok()?;
    let mut hex = [0u8; 32];
    let mut at = 0;
    for (place, &byte) in bytes.iter().enumerate() {
        if matches!(place, 8 | 13 | 18 | 23) {
            if byte != b'-' {
                return None;
            }
        } else {
            *hex.get_mut(at)? = byte;
            at += 1;
        }
    }
    Id::from_hex(&hex)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::EventOrder;

    fn order(id: &str) -> EventOrder {
        EventOrder::new(5, Some(1), id)
    }

    #[test]
    fn time_then_sequence_then_id() {
        let sorted = [
            EventOrder::new(1, Some(9), "z"),
            EventOrder::new(2, None, "z"),
            EventOrder::new(2, Some(-1), "z"),
            EventOrder::new(2, Some(1), "a"),
            EventOrder::new(2, Some(1), "b"),
        ];
        assert!(sorted.is_sorted());
    }

    #[test]
    fn long_ids_differ() {
        assert_ne!(order("a-long-event-id-0001"), order("a-long-event-id-0002"));
    }

    proptest! {
        #[test]
        fn uuids_order_as_their_text(a: u128, b: u128) {
            let text = |value: u128| {
                let hex = format!("{value:032x}");
                format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
            };
            prop_assert_eq!(order(&text(a)).cmp(&order(&text(b))), text(a).cmp(&text(b)));
        }

        #[test]
        fn short_ids_order_as_their_text(a in "[ -~]{0,16}", b in "[ -~]{0,16}") {
            prop_assert_eq!(order(&a).cmp(&order(&b)), a.cmp(&b));
        }
    }
}
