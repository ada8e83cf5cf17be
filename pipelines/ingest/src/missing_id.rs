//! An id for events whose sender gave none.
//!
//! It is made of the event's place: input partition and offset, or data set, file and line of an import. So the same log gives the
//! same id, but a batch that is sent twice counts twice: senders that retry must give ids.

use millstream_schemas::input::{InputError, Reason};
use millstream_schemas::{Collected, Id};
use millstream_transports::RecordRef;

/// The payload with an id, where `error` says that it lacks one.
pub fn complete(error: &InputError, record: RecordRef<'_>, collected: &Collected<'_>) -> Option<Vec<u8>> {
    if error.reason != Reason::MissingField || error.field != "id" {
        return None;
    }
    let body = collected.payload.trim_ascii_end().strip_suffix(b"}")?.trim_ascii_end();
    let mut completed = Vec::with_capacity(body.len() + 48);
    completed.extend_from_slice(body);
    if !body.ends_with(b"{") {
        completed.push(b',');
    }
    // Last, because of a key that is there twice the last one holds: an empty or null id stands before.
    completed.extend_from_slice(b"\"id\":\"");
    completed.extend_from_slice(&id_of(record, collected).to_hex());
    completed.extend_from_slice(b"\"}");
    Some(completed)
}

fn id_of(record: RecordRef<'_>, collected: &Collected<'_>) -> Id {
    let site = collected.site.as_bytes();
    match (collected.data_set, collected.file, collected.line) {
        (Some(data_set), Some(file), Some(line)) => {
            Id::of(&[site, data_set.as_bytes(), file.as_bytes(), &line.to_be_bytes()])
        }
        _ => Id::of(&[site, &record.partition.to_be_bytes(), &record.offset.to_be_bytes()]),
    }
}

#[cfg(test)]
mod tests {
    use millstream_schemas::input::parse_event;

    use super::*;

    #[test]
    fn completes_what_lacks_an_id_and_nothing_else() {
        let record = RecordRef { topic: 0, partition: 1, offset: 2, timestamp_ms: 0, key: b"", value: b"" };
        for payload in [
            r#"{"type":"page_view"}"#,
            " { \"type\" : \"page_view\" } \n",
            r#"{"id":"","type":"page_view"}"#,
            r#"{"id":null,"type":"page_view"}"#,
        ] {
            let collected = Collected { site: "shop", payload: payload.as_bytes(), ..Collected::default() };
            let error = parse_event(collected.payload).unwrap_err();
            let completed = complete(&error, record, &collected).unwrap();
            let expected = Id::of(&[b"shop", &1u32.to_be_bytes(), &2u64.to_be_bytes()]).to_string();
            assert_eq!(parse_event(&completed).unwrap().id, expected);
        }
        let empty = Collected { payload: b"{}", ..Collected::default() };
        let completed = complete(&parse_event(b"{}").unwrap_err(), record, &empty).unwrap();
        assert_eq!(parse_event(&completed).unwrap_err().field, "type");
        let typeless = parse_event(br#"{"id":"e"}"#).unwrap_err();
        assert_eq!(complete(&typeless, record, &empty), None);
    }
}
