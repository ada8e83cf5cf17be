//! What was revised many times counts once, in every current view and in every analyst's view.

use millstream_tests::binary::Installation;
use millstream_tests::service::{Service, now_ms};
use serde_json::{Value, json};

const MINUTE_MS: i64 = 60_000;

/// Visits that end as one session, in the order in which they come: two sessions, one that bridges them, one before them all. The
/// thank-you page is loaded twice, and half of the order is given back later.
fn events(now_ms: i64) -> Value {
    let at = |minutes: i64| now_ms - minutes * MINUTE_MS;
    let order = |id: &str, minutes: i64| {
        json!({"id": id, "type": "purchase", "device": "d1", "user": "u1", "time": at(minutes),
            "order": {"id": "o1", "currency": "EUR",
                "lines": [{"product_id": "p1", "quantity": 2, "price": "5.00"}, {"product_id": "p2", "price": "2.00"}]}})
    };
    let view = |id: &str, minutes: i64| json!({"id": id, "type": "page_view", "device": "d1", "time": at(minutes), "page": {"url": "https://shop.example/"}});
    json!([
        view("a", 50),
        view("c", 4),
        view("bridge", 27),
        {"id": "p", "type": "product_view", "device": "d1", "time": at(26), "product": {"id": "p1"}},
        order("thanks", 3),
        order("thanks, reloaded", 2),
        view("first", 70),
        {"id": "r", "type": "refund", "device": "d1", "user": "u1", "time": at(1),
            "refund": {"id": "r1", "order_id": "o1", "currency": "EUR", "amount": "6.00"}},
        {"id": "bad", "type": "nonsense", "device": "d1", "time": at(1)},
        view("last", 0),
    ])
}

const CURRENT: &[(&str, &str)] = &[
    ("select count(*), count(distinct event_id) from events_current", "9|9"),
    (
        "select count(*), sum(events), sum(page_views), sum(purchases), sum(revenue_minor) from sessions_current",
        "1|8|5|1|1200",
    ),
    ("select count(*), sum(amount_minor), sum(refunded_minor) from orders_current", "1|1200|600"),
    ("select count(*), sum(amount_minor) from order_lines_current", "2|1200"),
    ("select count(*), sum(amount_minor) from refunds_current", "1|600"),
    ("select count(*) from scores_propensity_current", "1"),
    ("select count(*) from scores_propensity_current p join sessions_current s on s.session_id = p.session_id", "1"),
    ("select count(*), count(distinct user_id) from identities_current", "1|1"),
    ("select count(*) from events_rejected_current", "1"),
    ("select sum(sessions), sum(page_views), sum(purchases) from sessions_by_channel_and_day", "1|5|1"),
    ("select count(*), sum(net_minor) from orders_net", "1|600"),
    ("select stage, reason, records from rejected_by_reason", "ingest|unknown_event_type|1"),
];

/// Histories hold every revision, so that counting once is not the same as having little.
const HISTORY: &[(&str, &str)] = &[
    ("select count(distinct session_id) from sessions", "3"),
    ("select count(distinct session_id) from sessions where retracted", "2"),
    ("select case when count(*) >= 6 then 'many' else 'few' end from sessions", "many"),
    ("select case when count(*) >= 3 then 'many' else 'few' end from orders", "many"),
    ("select count(*), count(distinct person) from identities", "2|2"),
];

fn check(installation: &Installation) {
    let service = Service::start(installation, &["run"]);
    service.send(&events(now_ms()));
    service.wait_for(installation, "select sum(events) from sessions_current", "8");
    service.wait_for(installation, "select sum(refunded_minor) from orders_current", "600");
    service.wait_for(installation, "select count(*) from events_rejected", "1");
    service.stop();
    installation.expect(CURRENT);
    installation.expect(HISTORY);
}

#[test]
fn revised_counts_once_embedded() {
    check(&Installation::embedded());
}

#[test]
fn revised_counts_once_kafka_clickhouse() {
    if let Some(installation) = Installation::on_servers("revised_counts_once_kafka_clickhouse") {
        check(&installation);
    }
}
