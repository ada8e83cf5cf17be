//! An event reaches an operator or a sink only with the purpose that it needs; nobody writes without a key.

use millstream_tests::binary::Installation;
use millstream_tests::service::Service;
use serde_json::{Value, json};

/// What a visitor does, with these purposes on every event.
fn visit(device: &str, consent: &Value) -> Vec<Value> {
    let event = |kind: &str| {
        json!({"id": format!("{device}-{kind}"), "type": kind, "device": device, "consent": consent,
            "page": {"url": "https://shop.example/p1"}, "product": {"id": "p1"}})
    };
    let mut order = event("purchase");
    order["order"] = json!({"id": format!("o-{device}"), "currency": "EUR", "amount": "10.00"});
    vec![event("page_view"), event("product_view"), order]
}

fn visits() -> Value {
    let mut events = visit("nothing", &json!({"analytics": false, "personalization": false}));
    events.extend(visit("analytics", &json!({"analytics": true, "personalization": false})));
    events.extend(visit("personal", &json!({"analytics": false, "personalization": true})));
    events.extend(visit("both", &json!({"analytics": true, "personalization": true})));
    // Allowed at first, then withdrawn: what comes after it is out of reach.
    events.push(
        json!({"id": "w1", "type": "page_view", "device": "withdrawn", "page": {"url": "https://shop.example/1"}}),
    );
    events.push(json!({"id": "w2", "type": "consent", "device": "withdrawn", "consent": {"analytics": false}}));
    events.push(
        json!({"id": "w3", "type": "page_view", "device": "withdrawn", "page": {"url": "https://shop.example/3"}}),
    );
    json!(events)
}

/// Everything that came before one of these, from the same device, has been through when it is there.
fn last_words(service: &Service, installation: &Installation) {
    let devices = ["nothing", "analytics", "personal", "both", "withdrawn"];
    let all = json!({"analytics": true, "personalization": true});
    let last: Vec<Value> = devices
        .iter()
        .map(|device| json!({"id": format!("last-{device}"), "type": "click", "device": device, "consent": all}))
        .collect();
    service.send(&json!(last));
    service.wait_for(installation, "select count(*) from events where event_id like 'last-%'", "5");
    service.wait_for(installation, "select count(*) from sessions where source_event like 'last-%'", "5");
}

#[test]
fn operators_see_only_what_they_may() {
    let installation = Installation::embedded();
    let service = Service::start(&installation, &["run"]);
    service.send(&visits());
    last_words(&service, &installation);
    service.stop();
    installation.expect(&[
        // Sessions need analytics. One of each device's events is the last word.
        (
            "select device_id, events, page_views, purchases from sessions_current order by device_id",
            "analytics|4|1|1\nboth|4|1|1\nnothing|1|0|0\npersonal|1|0|0\nwithdrawn|2|1|0",
        ),
        ("select count(*) from sessions where source_event like 'nothing-%' or source_event like 'personal-%'", "0"),
        ("select count(*) from sessions where source_event in ('w2', 'w3')", "0"),
        // Propensity needs personalization, and a session to score.
        ("select count(*) from scores_propensity where source_event like 'nothing-%' or source_event like 'analytics-%'", "0"),
        ("select count(distinct session_id) from scores_propensity where source_event like 'both-%'", "1"),
        // An order is a fact of the shop, whatever the visitor chose.
        ("select count(*), sum(amount_minor) from orders_current", "4|4000"),
    ]);
}

#[test]
fn a_sink_gets_only_what_it_may() {
    let mut installation = Installation::embedded();
    installation.set("DELIVER__PURPOSES", r#"["necessary", "analytics"]"#);
    let service = Service::start(&installation, &["run"]);
    service.send(&visits());
    last_words(&service, &installation);
    service.stop();
    installation.expect(&[
        (
            "select device_id, count(*) from events where event_id not like 'last-%' group by device_id order by device_id",
            "analytics|3\nboth|3\nwithdrawn|1",
        ),
        ("select order_id from orders_current order by order_id", "o-analytics\no-both"),
    ]);
}

#[test]
fn a_write_without_a_key_is_refused() {
    let installation = Installation::embedded();
    let service = Service::start(&installation, &["run"]);
    let body = json!({"events": [{"id": "x", "type": "page_view", "device": "d"}]}).to_string();
    for key in [None, Some("somebody-elses-key"), Some("")] {
        let answer = service.post_as(key, body.as_bytes());
        assert_eq!((answer.status, answer.reason()), (401, "unauthenticated"), "{key:?}");
    }
    service.send(&json!([{"id": "good", "type": "page_view", "device": "d"}]));
    service.wait_for(&installation, "select event_id from events", "good");
    service.stop();
    installation.expect(&[("select count(*) from events", "1"), ("select count(*) from events_rejected", "0")]);
}
