//! Whatever comes in: a typed reject or a documented correction, and the next record is processed as if nothing had been.

use millstream_ingest::Fate;
use millstream_runtime::{Diversion, Outputs, Stage};
use millstream_schemas::{Collected, Rejected};
use proptest::prelude::*;
use serde_json::json;

use crate::harness::*;

/// Feeds `bad` and then a good event; returns what was rejected.
fn refused(bad: &[u8]) -> (Vec<(String, String)>, Vec<String>) {
    let mut stage = stage();
    let mut out = Outputs::new();
    feed(&mut stage, 0, &[live(NOON, bad), page_view("good", "d")], &mut out);
    assert_eq!(stage.fates().records(), 2);
    let letters = rejected(&out);
    for letter in &letters {
        assert_eq!(letter.payload, bad, "the bytes are kept");
        assert_eq!((letter.rejection_id, letter.stage, letter.site), ("events.collected:2:0", "ingest", SITE));
        assert_eq!((letter.topic, letter.partition, letter.offset), (Some("events.collected"), Some(2), Some(0)));
        assert!(!letter.detail.is_empty());
    }
    let reasons = letters.iter().map(|letter| (letter.reason.to_owned(), letter.field.unwrap_or_default().to_owned()));
    (reasons.collect(), ids(&out))
}

#[test]
fn each_bad_payload_has_its_reason_and_stops_nothing() {
    let order = |order: &str| format!(r#"{{"id":"e","type":"purchase","order":{order}}}"#).into_bytes();
    let long = format!(r#"{{"id":"{}","type":"page_view"}}"#, "x".repeat(129)).into_bytes();
    let huge = format!(r#"{{"id":"e","type":"page_view","properties":{{"x":"{}"}}}}"#, "y".repeat(20_000)).into_bytes();
    let mut torn = br#"{"id":"e","type":"custom","name":"caf"#.to_vec();
    torn.extend_from_slice(&[0xc3, b'"', b'}']);
    let deep = format!(r#"{{"id":"e","type":"page_view","x":{}{}}}"#, "[".repeat(70), "]".repeat(70)).into_bytes();
    for (payload, reason, field) in [
        (br#"{"id":"e","type":"#.to_vec(), "invalid_json", ""),
        (b"".to_vec(), "invalid_json", ""),
        (b"[1,2]".to_vec(), "wrong_type", ""),
        (deep, "invalid_json", ""),
        (torn, "invalid_utf8", ""),
        (br#"{"id":7,"type":"page_view"}"#.to_vec(), "wrong_type", "id"),
        (br#"{"id":"e","type":"page_view","page":"x"}"#.to_vec(), "wrong_type", "page"),
        (br#"{"id":"e","type":"page_veiw"}"#.to_vec(), "unknown_event_type", "type"),
        (br#"{"id":"e"}"#.to_vec(), "missing_field", "type"),
        (br#"{"id":"e","type":"page_view","time":"yesterday"}"#.to_vec(), "invalid_time", "time"),
        (br#"{"id":"e","type":"identify","device":"d"}"#.to_vec(), "missing_field", "user"),
        (order(r#"{"id":"o","currency":"EUR","amount":-1}"#), "negative_amount", "order.amount"),
        (
            order(r#"{"id":"o","currency":"EUR","lines":[{"product_id":"a","price":-1}]}"#),
            "negative_amount",
            "order.lines[1].price",
        ),
        (order(r#"{"id":"o","currency":"EUR","amount":"12,50"}"#), "invalid_amount", "order.amount"),
        (order(r#"{"id":"o","currency":"DOGE","amount":1}"#), "unknown_currency", "order.currency"),
        (
            order(r#"{"id":"o","currency":"EUR","lines":[{"product_id":"a","price":1,"quantity":0}]}"#),
            "invalid_quantity",
            "order.lines[1].quantity",
        ),
        (
            order(r#"{"id":"o","currency":"EUR","lines":[{"product_id":"a","price":999999999999,"quantity":2}]}"#),
            "invalid_amount",
            "order.lines[1].price",
        ),
        (order(r#"{"currency":"EUR","amount":1}"#), "missing_field", "order.id"),
        (long, "too_long", "id"),
        (huge, "too_long", "properties"),
        (format!(r#"{{"id":"e","type":"page_view","time":{}}}"#, NOON - 86_400_001).into_bytes(), "too_late", "time"),
        (br#"{"id":"e","type":"page_view","time":0}"#.to_vec(), "too_late", "time"),
    ] {
        let text = String::from_utf8_lossy(&payload[..payload.len().min(80)]).into_owned();
        let (reasons, accepted) = refused(&payload);
        assert_eq!(reasons.iter().map(|(reason, _)| reason.as_str()).collect::<Vec<_>>(), [reason], "{text}");
        if !field.is_empty() {
            assert_eq!(reasons[0].1, field, "{text}");
        }
        assert_eq!(accepted, ["good"], "{text}");
    }
}

#[test]
fn frames_that_are_none_are_kept_whole() {
    let torn = {
        let mut frame = page_view("e", "d");
        frame.truncate(frame.len() - 3);
        frame
    };
    let mut unknown = page_view("e", "d");
    unknown[3] = 0x77;
    let misplaced = framed(|bytes| Rejected::default().encode_framed(Rejected::ID, bytes));
    for (value, reason) in [
        (torn, "corrupt_frame"),
        (Vec::new(), "corrupt_frame"),
        (b"{\"json\":true}".to_vec(), "corrupt_frame"),
        (unknown, "unknown_schema"),
        (misplaced, "unexpected_record"),
    ] {
        let out = run(&[value.clone(), page_view("good", "d")]);
        let letters = rejected(&out);
        assert_eq!(letters.len(), 1);
        assert_eq!((letters[0].reason, letters[0].payload, letters[0].site), (reason, value.as_slice(), ""));
        assert_eq!(letters[0].event_time, NOON, "the record's own time");
        assert_eq!(ids(&out), ["good"]);
    }
}

#[test]
fn an_event_without_id_gets_one_of_its_place() {
    let untold = event(json!({"type": "page_view", "device": "d"}));
    let out = run(&[untold.clone(), untold.clone()]);
    let first = ids(&out);
    assert_eq!(first.len(), 2, "both are accepted");
    assert_ne!(first[0], first[1]);
    assert_eq!(first, ids(&run(&[untold.clone(), untold])), "the same log gives the same ids");
}

#[test]
fn a_duplicate_is_dropped_and_counted() {
    let mut stage = stage();
    let mut out = Outputs::new();
    let other_site = framed(|bytes| {
        let payload = br#"{"id":"e1","type":"page_view","device":"d"}"#;
        Collected { site: "other", origin: "http", received_at: NOON, payload, ..Collected::default() }
            .encode_framed(Collected::ID, bytes);
    });
    feed(&mut stage, 0, &[page_view("e1", "d"), page_view("e2", "d"), page_view("e1", "d"), other_site], &mut out);
    assert_eq!(ids(&out), ["e1", "e2", "e1"], "another site's id is another id");
    assert_eq!((stage.fates().get(Fate::Duplicate), stage.fates().get(Fate::Accepted)), (1, 3));
}

#[test]
fn a_rejected_event_may_be_sent_again_once_it_is_repaired() {
    let broken = event(json!({"id": "e", "type": "purchase", "order": {"id": "o", "currency": "EUR", "amount": -1}}));
    let repaired = event(json!({"id": "e", "type": "purchase", "order": {"id": "o", "currency": "EUR", "amount": 1}}));
    assert_eq!(ids(&run(&[broken, repaired])), ["e"]);
}

#[test]
fn no_identity_at_all_is_accepted_and_its_order_counts() {
    let mut stage = stage();
    let mut out = Outputs::new();
    let purchase = json!({"id": "p", "type": "purchase", "order": {"id": "o", "currency": "EUR", "amount": 5}});
    feed(&mut stage, 0, &[event(purchase), event(json!({"id": "v", "type": "page_view"}))], &mut out);
    for event in events(&out) {
        assert_eq!((event.source, event.person, event.person_user_id), (None, None, None));
    }
    assert_eq!(orders(&out).len(), 1);
    assert_eq!(identities(&out), []);
    assert_eq!(stage.fates().get(Fate::NoIdentity), 2);
}

#[test]
fn declared_bots_are_dropped_and_headless_browsers_suspected() {
    let with_agent = |id: &str, user_agent: &str| {
        let payload = json!({"id": id, "type": "page_view", "device": "d"}).to_string();
        let collected = Collected {
            site: SITE,
            origin: "http",
            received_at: NOON,
            user_agent: Some(user_agent),
            payload: payload.as_bytes(),
            ..Collected::default()
        };
        framed(|bytes| collected.encode_framed(Collected::ID, bytes))
    };
    let googlebot = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
    let headless = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/142.0 Safari/537.36";
    let inputs =
        [with_agent("bot", googlebot), with_agent("headless", headless), with_agent("server", "python-requests/2.32")];
    let mut stage = stage();
    let mut out = Outputs::new();
    feed(&mut stage, 0, &inputs, &mut out);
    let marks: Vec<(&str, bool)> = events(&out).iter().map(|event| (event.event_id, event.is_bot)).collect();
    assert_eq!(marks, [("headless", true), ("server", false)]);
    assert_eq!(stage.fates().get(Fate::DeclaredBot), 1);

    let mut kept = vec![site_config(1, 0, json!({"keep_declared_bots": true}))];
    kept.extend(inputs);
    let out = run(&kept);
    assert_eq!(ids(&out), ["bot", "headless", "server"]);
    assert!(events(&out)[0].is_bot);
    assert_eq!(events(&out)[0].device_class, "bot");
}

#[test]
fn a_diverted_record_is_a_dead_letter_whatever_the_state() {
    let value = page_view("e", "d");
    let mut outputs = Vec::new();
    for before in [Vec::new(), vec![page_view("e", "d"), page_view("x", "d")]] {
        let mut stage = stage();
        feed(&mut stage, 0, &before, &mut Outputs::new());
        let mut out = Outputs::new();
        stage.divert(record(9, &value), &Diversion::Panic("index out of range".to_owned()), &mut out);
        outputs.push(out.iter().map(|append| append.value.to_vec()).collect::<Vec<_>>());
        let letters = rejected(&out);
        assert_eq!((letters[0].reason, letters[0].event_id), ("operator_panic", Some("e")));
        assert!(letters[0].detail.contains("index out of range"));
    }
    assert_eq!(outputs[0], outputs[1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Damage of any kind to a good record: no panic, and exactly one fate.
    #[test]
    fn damaged_records_never_panic_and_never_vanish(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut value = event(json!({
            "id": "e", "type": "purchase", "device": "d", "user": "u", "time": NOON,
            "page": {"url": "https://shop.example/?utm_source=a%20b&gclid=1", "referrer": "https://www.google.com/"},
            "order": {"id": "o", "currency": "EUR", "amount": 12.5, "lines": [{"product_id": "p", "price": 12.5}]},
            "colour": "red",
        }));
        for (at, byte) in damage {
            let at = at.index(value.len());
            value[at] = byte;
        }
        let length = value.len();
        value.truncate(length - cut.index(length) / 50);
        let mut stage = stage();
        let mut out = Outputs::new();
        feed(&mut stage, 0, &[value, page_view("good", "g")], &mut out);
        prop_assert_eq!(stage.fates().records(), 2);
        let kept = events(&out).len() + rejected(&out).len();
        let dropped = [Fate::Duplicate, Fate::DeclaredBot, Fate::ConsentRefused, Fate::Applied];
        let dropped: u64 = dropped.into_iter().map(|fate| stage.fates().get(fate)).sum();
        prop_assert_eq!(kept as u64 + dropped, 2);
    }
}
