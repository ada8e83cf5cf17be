//! What a record of `events.collected` is.

use millstream_schemas::input::{InputError, Reason};
use millstream_schemas::{Collected, Control, Event, SchemaIds, Tick, frame};

use crate::reject::whole;

/// A record of the input.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// An event as it was received.
    Collected(Collected<'a>),
    /// An event that was accepted before, and comes back from the warehouse.
    Restored(Box<Event<'a>>),
    /// Time passes.
    Tick(Tick<'a>),
    /// A change of configuration.
    Control(Control<'a>),
}

/// Takes a frame apart. What is no frame, or not one that belongs here, is an error that names which.
pub fn decode<'a>(value: &'a [u8], ids: &SchemaIds) -> Result<Incoming<'a>, InputError> {
    let (wire_id, body) = frame::split(value).map_err(|error| whole(Reason::CorruptFrame, error.to_string()))?;
    let id = ids.from_wire(wire_id);
    let incoming = match id {
        Collected::ID => Collected::decode(body).map(Incoming::Collected),
        Event::ID => Event::decode(body).map(|event| Incoming::Restored(Box::new(event))),
        Tick::ID => Tick::decode(body).map(Incoming::Tick),
        Control::ID => Control::decode(body).map(Incoming::Control),
        _ => {
            return Err(match millstream_schemas::by_id(id) {
                Some(schema) => whole(
                    Reason::UnexpectedRecord,
                    format!("a record of {} does not belong on this topic", schema.name),
                ),
                None => whole(
                    Reason::UnknownSchema,
                    format!("schema id {wire_id} is not known; a newer Millstream or another registry wrote it"),
                ),
            });
        }
    };
    incoming.map_err(|error| whole(Reason::CorruptFrame, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(value: &[u8]) -> Option<Reason> {
        decode(value, &SchemaIds::identity()).err().map(|error| error.reason)
    }

    #[test]
    fn what_does_not_belong_is_named() {
        let mut tick = Vec::new();
        Tick { origin: "live", time: 5 }.encode_framed(Tick::ID, &mut tick);
        assert_eq!(reason(&tick), None);
        assert_eq!(reason(tick.get(..tick.len() - 1).unwrap()), Some(Reason::CorruptFrame));
        assert_eq!(reason(b""), Some(Reason::CorruptFrame));
        assert_eq!(reason(b"{\"id\":1}"), Some(Reason::CorruptFrame));
        let mut unknown = Vec::new();
        frame::begin(9_999, &mut unknown);
        assert_eq!(reason(&unknown), Some(Reason::UnknownSchema));
        let mut other = Vec::new();
        frame::begin(millstream_schemas::Session::ID, &mut other);
        assert_eq!(reason(&other), Some(Reason::UnexpectedRecord));
    }
}
