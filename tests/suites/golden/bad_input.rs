//! Whatever a client sends: a typed refusal over HTTP, a typed row in `events_rejected`, or a documented correction; and a good event
//! afterwards is processed as if nothing had been.

use millstream_tests::binary::Installation;
use millstream_tests::service::{Service, now_ms};
use serde_json::{Value, json};

/// The whole request is refused: status and reason.
fn refused_requests() -> Vec<(&'static str, Vec<u8>, u16, &'static str)> {
    let good = json!({"id": "never", "type": "page_view", "device": "d"});
    vec![
        ("broken JSON", br#"{"events": [{"id": "never""#.to_vec(), 400, "invalid_json"),
        ("no JSON", b"id=never&type=page_view".to_vec(), 400, "invalid_json"),
        ("wrong type", br#"{"events": "many"}"#.to_vec(), 400, "wrong_type"),
        ("empty batch", br#"{"events": []}"#.to_vec(), 400, "empty_batch"),
        (
            "1 MiB and more",
            format!("{{\"events\": [{good}{}]}}", " ".repeat(1 << 20)).into_bytes(),
            413,
            "body_too_large",
        ),
        ("too many", json!({"events": vec![good; 501]}).to_string().into_bytes(), 413, "too_many_events"),
    ]
}

/// Events that the collector takes and ingest rejects: the event, reason and field.
fn rejected_events(now_ms: i64) -> Vec<(Value, &'static str, &'static str)> {
    let order = |id: &str, order: Value| json!({"id": id, "type": "purchase", "device": "bad", "order": order});
    let line = |price: i64| json!([{"product_id": "p", "price": price}]);
    vec![
        (json!({"id": "b01", "type": "page_veiw", "device": "bad"}), "unknown_event_type", "type"),
        (json!({"id": "b02", "type": "page_view", "device": "bad", "page": "x"}), "wrong_type", "page"),
        (json!({"id": "b03", "type": "page_view", "device": "bad", "time": 0}), "too_late", "time"),
        (json!({"id": "b04", "type": "page_view", "device": "bad", "time": now_ms - 90_000_000}), "too_late", "time"),
        (json!({"id": "b05", "type": "page_view", "device": "bad", "time": "yesterday"}), "invalid_time", "time"),
        (order("b06", json!({"id": "o-bad", "currency": "EUR", "amount": -1})), "negative_amount", "order.amount"),
        (
            order("b07", json!({"id": "o-bad", "currency": "EUR", "lines": line(-1)})),
            "negative_amount",
            "order.lines[1].price",
        ),
        (order("b08", json!({"id": "o-bad", "currency": "DOGE", "amount": 1})), "unknown_currency", "order.currency"),
        (order("b09", json!({"currency": "EUR", "amount": 1})), "missing_field", "order.id"),
        (json!({"id": "b10", "type": "identify", "device": "bad"}), "missing_field", "user"),
    ]
}

/// Events that are accepted with a documented correction.
fn corrected_events(now_ms: i64) -> Value {
    json!([
        {"id": "future", "type": "page_view", "device": "d-future", "time": now_ms + 86_400_000},
        {"id": "timeless", "type": "page_view", "device": "d-timeless"},
        {"type": "page_view", "device": "d-no-id"},
        {"id": "twice", "type": "page_view", "device": "d-twice"},
        {"id": "twice", "type": "page_view", "device": "d-twice"},
        {"id": "nobody", "type": "purchase", "order": {"id": "o-nobody", "currency": "EUR", "amount": "7.50"}},
        {"id": "i1", "type": "identify", "device": "d-shared", "user": "anna"},
        {"id": "i2", "type": "identify", "device": "d-shared", "user": "bert"},
        {"id": "zero", "type": "purchase", "device": "d-zero", "order": {"id": "o-zero", "currency": "eur", "amount": 0}},
    ])
}

const AFTERWARDS: &[(&str, &str)] = &[
    // A clock that is ahead counts as the receive time; what has no time, too.
    (
        "select event_id, time_quality from events where event_id in ('future', 'timeless') order by event_id",
        "future|clamped\ntimeless|received",
    ),
    ("select count(*) from events where event_id = 'future' and event_time = received_at", "1"),
    // An id of its own, from its place in the log.
    ("select count(*) from events where device_id = 'd-no-id' and length(event_id) = 32", "1"),
    ("select count(*) from events where event_id = 'twice'", "1"),
    // No identity at all: the event and its order are there, and no person.
    ("select count(*) from events where event_id = 'nobody' and person is null and source is null", "1"),
    ("select amount_minor from orders_current where order_id = 'o-nobody' and person is null", "750"),
    ("select count(*) from sessions where source_event = 'nobody'", "0"),
    // Two identified users do not become one: both are there, and the refusal is recorded.
    ("select count(distinct person) from events where event_id in ('i1', 'i2')", "2"),
    ("select count(*) from identities where change = 'refused' and user_id = 'anna'", "1"),
    ("select currency, amount_minor from orders_current where order_id = 'o-zero'", "EUR|0"),
    ("select count(*) from orders where order_id = 'o-bad'", "0"),
    ("select count(*) from events where event_id = 'never' or device_id = 'bad'", "0"),
];

/// A good event, which must come through whatever came before it.
fn good(service: &Service, installation: &Installation, id: &str) {
    service.send(&json!([{"id": id, "type": "page_view", "device": id}]));
    service.wait_for(installation, &format!("select count(*) from events where event_id = '{id}'"), "1");
}

fn check(installation: &Installation) {
    let service = Service::start(installation, &["run"]);
    for (what, body, status, reason) in refused_requests() {
        let answer = service.post(&body);
        assert_eq!((answer.status, answer.reason()), (status, reason), "{what}: {answer:?}");
        assert!(answer.body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{what}: {answer:?}");
    }
    assert_eq!(service.post_stubbornly(&vec![b' '; 10 << 20]), 413, "10 MB");
    // Invalid UTF-8 in one event is that event's fault alone.
    let answer = service
        .post(b"{\"events\": [{\"id\": \"never\", \"type\": \"custom\", \"name\": \"caf\xe9\", \"device\": \"d\"}]}");
    assert!(answer.body.to_string().contains("invalid_utf8"), "{answer:?}");
    assert_ne!(answer.body["accepted"].as_u64(), Some(1), "{answer:?}");
    good(&service, installation, "good-1");

    let now_ms = now_ms();
    let rejected = rejected_events(now_ms);
    service.send(&json!(rejected.iter().map(|(event, ..)| event).collect::<Vec<_>>()));
    let expected: Vec<String> = rejected
        .iter()
        .map(|(event, reason, field)| format!("{}|ingest|{reason}|{field}", event["id"].as_str().unwrap()))
        .collect();
    let sql = "select event_id, stage, reason, field from events_rejected order by event_id";
    service.wait_for(installation, sql, &expected.join("\n"));
    // The bytes are kept, and every row says in words what to do.
    service.wait_for(
        installation,
        "select count(*) from events_rejected where detail = '' or length(payload) < 30",
        "0",
    );

    service.send(&corrected_events(now_ms));
    for device in ["d-future", "d-timeless", "d-no-id", "d-twice", "d-shared", "d-zero"] {
        let after = format!("after-{device}");
        service.send(&json!([{"id": after, "type": "click", "device": device}]));
        service.wait_for(installation, &format!("select count(*) from events where event_id = '{after}'"), "1");
    }
    service.wait_for(installation, "select count(*) from orders_current", "2");
    good(&service, installation, "good-2");
    service.stop();
    installation.expect(AFTERWARDS);
    installation.expect(&[("select count(*) from events_rejected", &rejected.len().to_string())]);
}

#[test]
fn bad_input_embedded() {
    check(&Installation::embedded());
}

#[test]
fn bad_input_kafka_clickhouse() {
    if let Some(installation) = Installation::on_servers("bad_input_kafka_clickhouse") {
        check(&installation);
    }
}
