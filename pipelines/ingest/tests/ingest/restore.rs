//! Events that come back from the warehouse.

use millstream_ingest::Fate;
use millstream_runtime::Outputs;
use millstream_schemas::{Event, Record};
use serde_json::{Value, json};

use crate::harness::*;

fn restored(event: &Event<'_>) -> Vec<u8> {
    framed(|bytes| event.encode_framed(Event::SCHEMA.id, bytes))
}

/// A visitor who logs in, buys, says what may be done with it, and logs out; another one without consent; somebody without identity.
fn story() -> Vec<Vec<u8>> {
    let line = |json: Value| event(json);
    vec![
        line(
            json!({"id": "1", "type": "page_view", "device": "d", "page": {"url": "https://shop.example/?utm_source=a&utm_medium=email"}}),
        ),
        line(json!({"id": "2", "type": "identify", "device": "d", "user": "anna"})),
        line(
            json!({"id": "3", "type": "purchase", "device": "d", "order": {"id": "o", "amount": "12.50", "currency": "EUR",
            "lines": [{"product_id": "p", "unit_price": "6.25", "quantity": 2}]}}),
        ),
        line(json!({"id": "4", "type": "consent", "device": "d", "consent": ["necessary", "analytics"]})),
        line(json!({"id": "5", "type": "page_view", "device": "d"})),
        line(json!({"id": "6", "type": "logout", "device": "d"})),
        line(json!({"id": "7", "type": "page_view", "device": "d"})),
        line(json!({"id": "8", "type": "purchase", "device": "e", "consent": ["necessary"],
            "order": {"id": "q", "amount": "1.00", "currency": "EUR"}})),
        line(json!({"id": "9", "type": "consent", "device": "e", "consent": ["necessary"]})),
        line(
            json!({"id": "10", "type": "refund", "refund": {"id": "r", "order_id": "o", "amount": "6.25", "currency": "EUR"}}),
        ),
    ]
}

/// All that was written, with one revision: it is the offset.
fn said(out: &Outputs) -> Vec<String> {
    let texts = written(out).into_iter().map(|written| format!("{written:?}"));
    texts.map(|text| text.split("revision: ").map(|part| part.trim_start_matches(char::is_numeric)).collect()).collect()
}

#[test]
fn they_give_what_they_gave_and_are_taken_in_once() {
    let first = run(&story());
    let accepted: Vec<Vec<u8>> = events(&first).iter().map(restored).collect();
    assert_eq!((accepted.len(), rejected(&first).len()), (10, 0));
    let mut stage = stage();
    let mut out = Outputs::new();
    feed(&mut stage, 100, &accepted, &mut out);
    for (now, then) in said(&out).iter().zip(said(&first)) {
        assert_eq!(*now, then);
    }
    assert_eq!(said(&out).len(), said(&first).len());
    feed(&mut stage, 200, &accepted[..3], &mut out);
    assert_eq!(said(&out), said(&first), "ids are known again");
    let counts = [Fate::Accepted, Fate::Duplicate].map(|fate| stage.fates().get(fate));
    assert_eq!(counts, [accepted.len() as u64, 3]);
}

#[test]
fn what_they_leave_behind_is_what_later_events_find() {
    let story = story();
    let (mut lived, mut remade) = (stage(), stage());
    let mut first = Outputs::new();
    feed(&mut lived, 0, &story, &mut first);
    let accepted: Vec<Vec<u8>> = events(&first).iter().map(restored).collect();
    feed(&mut remade, 0, &accepted, &mut Outputs::new());
    let later = [
        page_view("11", "d"),
        event(json!({"id": "12", "type": "page_view", "device": "e"})),
        event(json!({"id": "13", "type": "identify", "device": "d", "user": "bert"})),
        page_view("1", "d"),
    ];
    let (mut then, mut now) = (Outputs::new(), Outputs::new());
    feed(&mut lived, 100, &later, &mut then);
    feed(&mut remade, 100, &later, &mut now);
    assert_eq!(said(&now), said(&then));
}

#[test]
fn what_cannot_be_taken_in_is_a_dead_letter() {
    let unknown = restored(&Event { site: SITE, event_id: "x", event_type: "from_the_future", ..Event::default() });
    let out = run(&[unknown.clone(), namespace_closed(1, Some("next.")), unknown]);
    let reasons: Vec<&str> = rejected(&out).iter().map(|letter| letter.reason).collect();
    assert_eq!(reasons, ["unknown_event_type", "namespace_closed"]);
}
