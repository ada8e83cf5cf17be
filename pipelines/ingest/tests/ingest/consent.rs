//! What may be used for what, and what is not kept at all.

use millstream_ingest::Fate;
use millstream_runtime::Outputs;
use millstream_schemas::purposes::{ADVERTISING, ALL, ANALYTICS, NECESSARY};
use millstream_schemas::{Collected, Event};
use serde_json::{Value, json};

use crate::harness::*;

fn with_gpc(json: Value) -> Vec<u8> {
    let payload = json.to_string();
    let collected = Collected {
        site: SITE,
        origin: "http",
        received_at: NOON,
        global_privacy_control: true,
        payload: payload.as_bytes(),
        ..Collected::default()
    };
    framed(|bytes| collected.encode_framed(Collected::ID, bytes))
}

#[test]
fn the_events_word_then_the_devices_then_the_sites() {
    let view = |id: &str, device: &str| json!({"id": id, "type": "page_view", "device": device});
    let out = run(&[
        event(view("site", "a")),
        event(json!({"id": "said", "type": "consent", "device": "a", "consent": ["analytics", "advertising"]})),
        event(view("device", "a")),
        event(json!({"id": "own", "type": "page_view", "device": "a", "consent": {"analytics": true}})),
        with_gpc(view("gpc", "a")),
        event(view("other", "b")),
        site_config(1, NOON + 1, json!({"consent_default": ["advertising"]})),
        event(view("too_early", "b")),
        live(NOON + 1, view("from_then_on", "b").to_string().as_bytes()),
    ]);
    let consents: Vec<(&str, i32)> = events(&out).iter().map(|event| (event.event_id, event.consent)).collect();
    let default = ALL & !ADVERTISING;
    assert_eq!(
        consents,
        [
            ("site", default),
            ("said", NECESSARY | ANALYTICS | ADVERTISING),
            ("device", NECESSARY | ANALYTICS | ADVERTISING),
            ("own", NECESSARY | ANALYTICS),
            ("gpc", NECESSARY | ANALYTICS),
            ("other", default),
            ("too_early", default),
            ("from_then_on", NECESSARY | ADVERTISING),
        ]
    );
}

#[test]
fn without_consent_behaviour_is_dropped_and_no_byte_of_it_is_kept() {
    let secret = json!({"id": "e", "type": "page_view", "device": "secret-device", "user": "secret-user",
        "consent": [], "page": {"url": "https://shop.example/secret-page"}});
    let mut stage = stage();
    let mut out = Outputs::new();
    feed(&mut stage, 0, &[event(secret)], &mut out);
    assert_eq!(stage.fates().get(Fate::ConsentRefused), 1);
    for append in out.iter() {
        let text = String::from_utf8_lossy(append.value).into_owned();
        assert!(!text.contains("secret"), "{text}");
    }
    assert_eq!((events(&out), identities(&out)), (vec![], vec![]));
}

#[test]
fn orders_are_kept_for_the_books_without_anybody_on_them() {
    let order = json!({"id": "p", "type": "purchase", "device": "secret-d", "user": "secret-u", "session": "secret-s",
        "consent": [], "language": "de", "user_agent": "Mozilla/5.0 (iPhone) secret",
        "page": {"url": "https://shop.example/?utm_source=secret", "title": "secret", "referrer": "https://secret.example", "view_id": "secret-v"},
        "properties": {"note": "secret"}, "colour": "secret",
        "order": {"id": "o", "currency": "EUR", "amount": 10, "lines": [{"product_id": "a", "price": 10}]}});
    let out = run(&[event(order)]);
    for append in out.iter() {
        assert!(!String::from_utf8_lossy(append.value).contains("secret"));
    }
    let events = events(&out);
    let (_, entry) = &orders(&out)[0];
    let Event { order_id, amount_minor, consent, source, person, .. } = &events[0];
    assert_eq!((*order_id, *amount_minor, *consent), (Some("o"), Some(1_000), NECESSARY));
    assert_eq!((*source, *person, entry.source, entry.person), (None, None, None, None));
    assert_eq!((entry.order_id, entry.amount_minor, entry.lines.len()), (Some("o"), Some(1_000), 1));
}

#[test]
fn withdrawing_everything_is_kept_as_proof_and_holds_from_then_on() {
    let out = run(&[
        page_view("before", "d"),
        event(json!({"id": "no", "type": "consent", "device": "d", "consent": [],
            "page": {"url": "https://shop.example/privacy"}})),
        page_view("after", "d"),
        page_view("other", "x"),
    ]);
    let events = events(&out);
    let seen: Vec<&str> = events.iter().map(|event| event.event_id).collect();
    assert_eq!(seen, ["before", "no", "other"]);
    assert_eq!((events[1].device_id, events[1].consent, events[1].page_url), (Some("d"), NECESSARY, None));
    assert_eq!(events[1].source, events[0].source);
}

#[test]
fn a_logout_without_consent_still_ends_the_login() {
    let out = run(&[
        event(json!({"id": "in", "type": "identify", "device": "d", "user": "u"})),
        event(json!({"id": "out", "type": "logout", "device": "d", "consent": []})),
        page_view("next", "d"),
    ]);
    let events = events(&out);
    assert_eq!((events[0].person_user_id, events[1].person_user_id), (Some("u"), None));
    assert_ne!(events[0].source, events[1].source);
}

#[test]
fn spend_is_about_nobody() {
    let spend = json!({"id": "s", "type": "spend", "consent": [],
        "spend": {"channel": "paid_search", "campaign": "spring", "amount": "120.50", "currency": "EUR"}});
    let mut stage = stage();
    let mut out = Outputs::new();
    feed(&mut stage, 0, &[event(spend)], &mut out);
    let events = events(&out);
    assert_eq!((events[0].spend_channel, events[0].amount_minor), (Some("paid_search"), Some(12_050)));
    assert_eq!(stage.fates().get(Fate::NoIdentity), 0);
}
