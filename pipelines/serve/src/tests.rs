//! From records in the log to what a connection is pushed, on the in-memory log.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use futures_util::StreamExt;
use millstream_runtime::{Clock, SystemClock};
use millstream_schemas::{Attribution, Event, Id, Order, Profile, Propensity, SchemaIds, Session};
use millstream_transports::memory::MemoryLog;
use millstream_transports::{Append, Retention, TopicSpec, Transport};
use serde_json::Value;
use tower::ServiceExt;

use crate::live::Taken;
use crate::shop::ShopKeys;
use crate::{Consumer, ConsumerConfig, Live, ServeConfig, ServeMetrics, SiteTokens, router, shop};

const TOKEN: &str = "token-of-shop-1";
const NOW_MS: i64 = 1_790_000_000_000;
const ALL_PURPOSES: i32 = 15;

/// A clock that stands still unless it is moved.
struct Held(AtomicI64, SystemClock);

impl Clock for Held {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        self.1.monotonic()
    }
}

fn clock() -> Arc<Held> {
    Arc::new(Held(AtomicI64::new(NOW_MS), SystemClock::new()))
}

fn sites() -> Vec<SiteTokens> {
    vec![
        SiteTokens { name: "shop".to_owned(), read_tokens: vec![TOKEN.to_owned(), "token-of-shop-2".to_owned()] },
        SiteTokens { name: "closed".to_owned(), read_tokens: Vec::new() },
    ]
}

fn live_with(config: ServeConfig) -> Arc<Live> {
    Live::new(config, &sites(), clock())
}

fn live() -> Arc<Live> {
    live_with(ServeConfig::default())
}

fn session(revision: i64) -> Session<'static> {
    Session {
        site: "shop",
        session_id: Id(7),
        revision,
        consent: ALL_PURPOSES,
        person: Id(70),
        device_id: Some("d-1"),
        started_at: NOW_MS - 5_000,
        ended_at: NOW_MS - 1_000 + revision,
        state: "open",
        events: revision,
        ..Session::default()
    }
}

fn score(revision: i64) -> Propensity<'static> {
    Propensity {
        site: "shop",
        session_id: Id(7),
        revision,
        consent: ALL_PURPOSES,
        source_event: "e-1",
        p_purchase: 0.25,
        role: "fallback",
        reasons: vec!["funnel_depth"],
        ..Propensity::default()
    }
}

fn order(id: &'static str, revision: i64, amount_minor: i64) -> Order<'static> {
    Order { site: "shop", order_id: id, revision, currency: "EUR", amount_minor, ..Order::default() }
}

macro_rules! frame {
    ($type:ident, $record:expr) => {{
        let mut bytes = Vec::new();
        $record.encode_framed($type::ID, &mut bytes);
        bytes
    }};
}

fn take(live: &Live, frame: &[u8]) {
    assert_eq!(live.take(frame, &SchemaIds::identity()), Taken::Applied);
}

fn visitor(live: &Live, device: &str) -> Value {
    live.visitor_since("shop", device, None).unwrap().1
}

#[test]
fn a_visitor_is_session_score_and_profile_of_the_device() {
    let live = live();
    assert_eq!(visitor(&live, "d-1")["session"], Value::Null);
    // The score first: records of different topics come in any order.
    take(&live, &frame!(Propensity, score(3)));
    take(&live, &frame!(Session, session(3)));
    let seen = visitor(&live, "d-1");
    assert_eq!(seen["session"]["events"], 3);
    assert_eq!(seen["score"]["p_purchase"], 0.25);
    assert_eq!(seen["score"]["reasons"], serde_json::json!(["funnel_depth"]));
    assert_eq!(seen["profile"], Value::Null);
    assert_eq!(visitor(&live, "d-2")["session"], Value::Null);
}

#[test]
fn the_higher_revision_stands_and_a_retraction_ends_it() {
    let live = live();
    for revision in [5, 2, 5] {
        take(&live, &frame!(Session, session(revision)));
        take(&live, &frame!(Propensity, score(revision)));
    }
    assert_eq!(visitor(&live, "d-1")["session"]["events"], 5);
    take(&live, &frame!(Propensity, Propensity { retracted: true, ..score(6) }));
    take(&live, &frame!(Propensity, score(5)));
    assert_eq!(visitor(&live, "d-1")["score"], Value::Null, "an older score came back");
    take(&live, &frame!(Session, Session { retracted: true, ..session(7) }));
    assert_eq!(visitor(&live, "d-1")["session"], Value::Null);
    assert_eq!(live.figures("shop")["sessions_open"], 0);
}

#[test]
fn of_several_sessions_the_latest_is_told() {
    let live = live();
    take(&live, &frame!(Session, session(9)));
    for n in 0..40 {
        let older = Session { session_id: Id(100 + n), ended_at: NOW_MS - 100_000 + n as i64, ..session(1) };
        take(&live, &frame!(Session, older));
    }
    assert_eq!(visitor(&live, "d-1")["session"]["events"], 9);
    assert_eq!(live.figures("shop")["sessions_open"], 41);
}

#[test]
fn what_consent_does_not_allow_is_not_told() {
    let live = live();
    take(&live, &frame!(Session, Session { consent: 3, ..session(1) }));
    take(&live, &frame!(Propensity, score(1)));
    let seen = visitor(&live, "d-1");
    assert_eq!((&seen["session"], &seen["score"]), (&Value::Null, &Value::Null));
    assert_eq!(live.figures("shop")["sessions_open"], 1, "figures are about nobody");
}

#[test]
fn totals_follow_revisions_whatever_their_order_and_number() {
    let live = live();
    let records = [order("A", 1, 1_000), order("A", 4, 900), order("B", 2, 500)];
    for round in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
        for at in round {
            take(&live, &frame!(Order, records[at]));
        }
        let figures = live.figures("shop");
        assert_eq!(figures["conversions"], 2);
        assert_eq!(figures["revenue_minor"], serde_json::json!({ "EUR": 1_400 }));
    }
    take(&live, &frame!(Order, Order { retracted: true, ..order("B", 3, 500) }));
    assert_eq!(live.figures("shop")["conversions"], 1);
}

#[test]
fn views_are_bounded_and_totals_are_of_what_is_kept() {
    let live = live_with(ServeConfig { max_rows: 10, ..ServeConfig::default() });
    for n in 0..100u128 {
        let device = format!("d-{n}");
        take(&live, &frame!(Session, Session { session_id: Id(n), device_id: Some(&device), ..session(1) }));
        let id = format!("order {n}");
        take(&live, &frame!(Order, Order { order_id: &id, ..order("", 1, 100) }));
    }
    let figures = live.figures("shop");
    assert_eq!((&figures["sessions_open"], &figures["conversions"]), (&Value::from(10), &Value::from(10)));
    assert_eq!(visitor(&live, "d-0")["session"], Value::Null);
    assert_ne!(visitor(&live, "d-99")["session"], Value::Null);
}

fn credit(touch: u128, revision: i64, channel: &'static str, credited_minor: i64) -> Attribution<'static> {
    Attribution {
        site: "shop",
        order_id: "A",
        model: "linear",
        touch_id: Id(touch),
        revision,
        channel,
        currency: "EUR",
        credited_minor,
        ..Attribution::default()
    }
}

#[test]
fn credits_that_move_are_counted_where_they_are_now() {
    let live = live();
    take(&live, &frame!(Attribution, credit(1, 1, "email", 1_000)));
    assert_eq!(live.figures("shop")["credited_minor"], serde_json::json!({ "EUR": { "linear": { "email": 1_000 } } }));
    // A late touch: the order is shared now, and a third touch that had been there has ceased.
    take(&live, &frame!(Attribution, Attribution { retracted: true, ..credit(3, 2, "direct", 0) }));
    take(&live, &frame!(Attribution, credit(1, 2, "email", 500)));
    take(&live, &frame!(Attribution, credit(2, 2, "organic", 500)));
    take(&live, &frame!(Attribution, credit(3, 1, "direct", 333)));
    let shared = serde_json::json!({ "EUR": { "linear": { "email": 500, "organic": 500 } } });
    assert_eq!(live.figures("shop")["credited_minor"], shared);
}

#[test]
fn the_profile_is_that_of_the_sessions_person() {
    let live = live();
    let profile =
        Profile { site: "shop", person: Id(70), revision: 1, consent: ALL_PURPOSES, orders: 2, ..Profile::default() };
    take(&live, &frame!(Profile, profile));
    assert_eq!(visitor(&live, "d-1")["profile"], Value::Null);
    take(&live, &frame!(Session, session(1)));
    assert_eq!(visitor(&live, "d-1")["profile"]["orders"], 2);
    take(&live, &frame!(Session, Session { person: Id(71), ..session(2) }));
    assert_eq!(visitor(&live, "d-1")["profile"], Value::Null, "the session is somebody else's now");
}

#[test]
fn foreign_damaged_and_oversized_records_are_told_apart() {
    let live = live_with(ServeConfig { max_row_bytes: 400, ..ServeConfig::default() });
    let ids = SchemaIds::identity();
    let whole = frame!(Session, session(1));
    assert_eq!(live.take(&whole, &ids), Taken::Applied);
    assert_eq!(live.take(b"no frame", &ids), Taken::Unknown);
    assert_eq!(live.take(&[0, 0, 0, 200, 200, 1], &ids), Taken::Unknown);
    assert_eq!(live.take(&whole[..whole.len() - 3], &ids), Taken::Unreadable);
    assert_eq!(live.take(&frame!(Session, Session { site: "closed", ..session(1) }), &ids), Taken::OtherSite);
    let long = "x".repeat(500);
    assert_eq!(live.take(&frame!(Session, Session { entry_page: Some(&long), ..session(2) }), &ids), Taken::TooLong);
    assert_eq!(visitor(&live, "d-1")["session"]["events"], 1);
}

/// A log with the topics, a consumer on it and the routes.
struct Running {
    log: MemoryLog,
    routes: Router,
    stop: Arc<AtomicBool>,
    consumer: Option<std::thread::JoinHandle<()>>,
    clock: Arc<Held>,
    live: Arc<Live>,
}

impl Running {
    fn start(topics: &[&str], config: ServeConfig) -> Self {
        let log = MemoryLog::new();
        log.ensure_topics(&topics.iter().map(|name| spec(name)).collect::<Vec<_>>()).unwrap();
        let clock = clock();
        let shared: Arc<dyn Clock> = Arc::<Held>::clone(&clock);
        let live = Live::new(config, &sites(), Arc::clone(&shared));
        let metrics = ServeMetrics::new(&prometheus::Registry::new()).unwrap();
        let routes = router(Arc::clone(&live), sites(), metrics.clone());
        let config =
            ConsumerConfig { namespace: String::new(), instance: "a".to_owned(), schema_ids: SchemaIds::identity() };
        let consumer = Consumer::new(Arc::new(log.clone()), shared, config, Arc::clone(&live), metrics);
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let consumer = Some(std::thread::spawn(move || consumer.run(&stopping).unwrap()));
        Self { log, routes, stop, consumer, clock, live }
    }

    fn write(&self, topic: &str, value: &[u8]) {
        let appender = self.log.appender(vec![topic.to_owned()]).unwrap();
        let record = Append { topic: 0, partition: 0, timestamp_ms: NOW_MS, key: b"", value };
        appender.append(&[record], Box::new(|result| result.unwrap())).unwrap();
    }

    async fn get(&self, path: &str) -> Response {
        self.routes.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap()
    }

    async fn until_caught_up(&self) {
        while self.live.figures("shop")["state"] != "live" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(consumer) = self.consumer.take() {
            consumer.join().unwrap();
        }
    }
}

fn spec(name: &str) -> TopicSpec {
    TopicSpec { name: name.to_owned(), partitions: 2, retention: Retention::Forever }
}

/// The messages of a stream, one after the other.
struct Messages(axum::body::BodyDataStream, String);

impl Messages {
    fn of(response: Response) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        Self(response.into_body().into_data_stream(), String::new())
    }

    /// The next message's data; `None` where the stream ends.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((message, rest)) = self.1.split_once("\n\n") {
                let data = message.lines().find_map(|line| line.strip_prefix("data: ")).map(str::to_owned);
                self.1 = rest.to_owned();
                match data {
                    Some(data) => return Some(serde_json::from_str(&data).unwrap()),
                    None => continue,
                }
            }
            let chunk = self.0.next().await?.unwrap();
            self.1.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

const TOPICS: [&str; 4] = [Event::TOPIC, Session::TOPIC, Propensity::TOPIC, Order::TOPIC];

#[tokio::test]
async fn what_is_committed_is_pushed() {
    let running = Running::start(&TOPICS, ServeConfig::default());
    let mut messages = Messages::of(running.get(&format!("/v1/live?device=d-1&token={TOKEN}")).await);
    assert_eq!(messages.next().await.unwrap()["session"], Value::Null, "what is known now, at once");
    running.write(Session::TOPIC, &frame!(Session, session(1)));
    assert_eq!(messages.next().await.unwrap()["session"]["events"], 1);
    running
        .write(Session::TOPIC, &frame!(Session, Session { device_id: Some("d-2"), session_id: Id(8), ..session(1) }));
    running.write(Propensity::TOPIC, &frame!(Propensity, score(1)));
    let seen = messages.next().await.unwrap();
    assert_eq!(seen["score"]["source_event"], "e-1", "another device's session is no message");
}

#[tokio::test]
async fn a_stop_ends_open_streams() {
    let running = Running::start(&TOPICS, ServeConfig::default());
    let mut visitor = Messages::of(running.get(&format!("/v1/live?device=d-1&token={TOKEN}")).await);
    let mut figures = Messages::of(running.get(&format!("/v1/live/stream?token={TOKEN}")).await);
    visitor.next().await.unwrap();
    figures.next().await.unwrap();
    drop(running);
    assert_eq!((visitor.next().await, figures.next().await), (None, None));
}

#[tokio::test]
async fn latency_is_from_receipt_to_the_consumed_score() {
    let running = Running::start(&TOPICS, ServeConfig::default());
    running.until_caught_up().await;
    let event =
        Event { site: "shop", event_id: "e-1", received_at: NOW_MS - 40, event_type: "page_view", ..Event::default() };
    running.write(Event::TOPIC, &frame!(Event, event));
    running.write(Propensity::TOPIC, &frame!(Propensity, score(1)));
    let mut messages = Messages::of(running.get(&format!("/v1/live/stream?token={TOKEN}")).await);
    let mut figures = messages.next().await.unwrap();
    while figures["latency_ms"]["samples"] == 0 {
        figures = messages.next().await.unwrap();
    }
    assert_eq!((&figures["latency_ms"]["p50"], &figures["latency_ms"]["p99"]), (&Value::from(40), &Value::from(40)));
    assert_eq!((&figures["events_per_s"], &figures["state"]), (&Value::from(1), &Value::from("live")));
    // Two seconds on it is no longer the last second that is over.
    running.clock.0.store(NOW_MS + 2_000, Ordering::Relaxed);
    assert_eq!(messages.next().await.unwrap()["events_per_s"], 0);
}

#[tokio::test]
async fn history_is_read_and_is_not_called_live() {
    let log_event = Event { site: "shop", event_id: "e-1", received_at: NOW_MS - 10, ..Event::default() };
    let running = Running::start(&[], ServeConfig::default());
    running.log.ensure_topics(&TOPICS.map(spec)).unwrap();
    running.write(Event::TOPIC, &frame!(Event, log_event));
    running.write(Order::TOPIC, &frame!(Order, order("A", 1, 1_000)));
    running.until_caught_up().await;
    let figures = running.live.figures("shop");
    assert_eq!(figures["conversions"], 1);
    assert_eq!(figures["per_second"].as_array().unwrap().iter().filter_map(Value::as_u64).sum::<u64>(), 0);
}

#[tokio::test]
async fn topics_that_come_later_are_read_too() {
    let running = Running::start(&[Event::TOPIC], ServeConfig::default());
    running.until_caught_up().await;
    running.log.ensure_topics(&TOPICS.map(spec)).unwrap();
    running.write(Session::TOPIC, &frame!(Session, session(1)));
    let mut messages = Messages::of(running.get(&format!("/v1/live?device=d-1&token={TOKEN}")).await);
    while messages.next().await.unwrap()["session"].is_null() {}
}

#[tokio::test]
async fn reads_need_a_token_and_have_a_limit() {
    let running = Running::start(&TOPICS, ServeConfig { max_connections: 1, ..ServeConfig::default() });
    for path in ["/v1/live?device=d-1", "/v1/live?device=d-1&token=wrong", "/v1/live/stream", "/v1/live/stream?token="]
    {
        let response = running.get(path).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(json_of(response).await["reason"], "unauthenticated");
    }
    for device in ["", &"d".repeat(129)] {
        let response = running.get(&format!("/v1/live?device={device}&token={TOKEN}")).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    }
    let bearer = Request::get("/v1/live?device=d%201").header("authorization", "Bearer token-of-shop-2");
    let open = running.routes.clone().oneshot(bearer.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(open.status(), StatusCode::OK);
    let mut messages = Messages::of(open);
    assert_eq!(messages.next().await.unwrap()["device"], "d 1");
    let full = running.get(&format!("/v1/live/stream?token={TOKEN}")).await;
    assert_eq!(full.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(full.headers().contains_key(header::RETRY_AFTER));
    drop(messages);
    assert_eq!(running.get(&format!("/v1/live/stream?token={TOKEN}")).await.status(), StatusCode::OK);
}

async fn json_of(response: Response) -> Value {
    serde_json::from_slice(&to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap()
}

#[tokio::test]
async fn the_shop_is_for_this_machine_only() {
    let keys = ShopKeys { write_key: "key-of-shop".to_owned(), read_token: TOKEN.to_owned() };
    let routes = shop::router(&keys);
    let get = |path: &str, host: &str| {
        let request = Request::get(path).header("host", host).body(Body::empty()).unwrap();
        routes.clone().oneshot(request)
    };
    for path in ["/shop", "/shop/product/mug"] {
        let response = get(path, "127.0.0.1:8080").await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert!(
            response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("default-src 'none'")
        );
        let page = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let page = std::str::from_utf8(&page).unwrap();
        assert!(page.contains(r#"data-key="key-of-shop""#) && page.contains(TOKEN) && !page.contains("{{"));
        assert_eq!(get(path, "rebound.example").await.unwrap().status(), StatusCode::FORBIDDEN);
    }
    for path in ["/assets/shop.css", "/assets/shop.js", "/assets/catalogue.js", "/assets/panel.js"] {
        assert_eq!(get(path, "localhost").await.unwrap().status(), StatusCode::OK, "{path}");
    }
    assert_eq!(get("/", "localhost").await.unwrap().headers()[header::LOCATION], "/shop");
}
