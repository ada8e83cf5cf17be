//! Contacts outside the shop's site: by user, by the order they name, or both.

use millstream_schemas::{Id, purposes};
use millstream_transports::partition_for;
use serde_json::json;

use crate::harness::*;

#[test]
fn a_touch_of_a_user_is_an_event_of_the_person_and_has_the_channel_it_names() {
    let out = run(&[event(json!({"id": "t", "type": "offline_touch", "user": "u", "campaign": {"source": "print"},
        "touch": {"channel": "direct_mail", "campaign": "spring"}}))]);
    let event = &events(&out)[0];
    assert!(event.person.is_some() && event.source.is_some());
    assert_eq!(
        (event.channel, event.utm_source, event.utm_campaign, event.order_id),
        ("direct_mail", Some("print"), Some("spring"), None)
    );
    assert_eq!(orders(&out), []);
}

#[test]
fn a_touch_that_names_an_order_goes_there_too() {
    for user in [None, Some("u")] {
        let out = run(&[event(json!({"id": "t", "type": "offline_touch", "user": user,
            "touch": {"channel": "call_centre", "campaign": "hotline", "order_id": "o"}}))]);
        let (events, entries) = (events(&out), orders(&out));
        assert_eq!(events[0].person.is_some(), user.is_some());
        assert_eq!((events[0].order_id, events[0].amount_minor, events[0].currency), (Some("o"), None, None));
        let (at, entry) = &entries[0];
        let order = Id::of(&[SITE.as_bytes(), b"o"]);
        assert_eq!(*at, partition_for(&order.0.to_be_bytes(), EVENTS_PARTITIONS));
        assert_eq!((entry.kind, entry.order_id, entry.event_id), ("touch", Some("o"), "t"));
        assert_eq!((entry.channel, entry.campaign), (Some("call_centre"), Some("hotline")));
        assert_eq!(entry.person, events[0].person);
        assert_eq!(entries.len(), 1);
    }
}

#[test]
fn a_purchase_has_no_touch_of_its_own() {
    let out = run(&[event(json!({"id": "p", "type": "purchase", "device": "d",
        "page": {"url": "https://shop/?utm_source=a&utm_campaign=b"},
        "order": {"id": "o", "currency": "EUR", "amount": 3}}))]);
    let (_, entry) = &orders(&out)[0];
    assert_eq!((entry.kind, entry.channel, entry.campaign), ("purchase", None, None));
}

#[test]
fn a_touch_that_may_serve_no_purpose_is_dropped() {
    let touch = |id: &str, consent: serde_json::Value| {
        event(json!({"id": id, "type": "offline_touch", "user": "u", "consent": consent,
            "touch": {"channel": "call_centre", "order_id": "o"}}))
    };
    let out = run(&[touch("a", json!([])), touch("b", json!(["analytics"]))]);
    assert_eq!(ids(&out), ["b"]);
    let consents: Vec<_> = orders(&out).iter().map(|(_, entry)| entry.consent).collect();
    assert_eq!(consents, [purposes::NECESSARY | purposes::ANALYTICS]);
}

#[test]
fn a_touch_without_a_channel_is_rejected() {
    let out = run(&[event(json!({"id": "t", "type": "offline_touch", "user": "u", "touch": {"order_id": "o"}}))]);
    let rejected = rejected(&out);
    assert_eq!((rejected[0].reason, rejected[0].field), ("missing_field", Some("touch.channel")));
}
