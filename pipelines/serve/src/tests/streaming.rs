//! From the log to an open connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use futures_util::StreamExt;
use millstream_runtime::Clock;
use millstream_schemas::{Event, Id, Order, Propensity, SchemaIds, Session};
use millstream_transports::memory::MemoryLog;
use millstream_transports::{Append, Retention, TopicSpec, Transport};
use serde_json::Value;
use tower::ServiceExt;

use super::{Held, NOW_MS, TOKEN, clock, frame, order, score, session, sites};
use crate::consumer::READ_BACK;
use crate::shop::ShopKeys;
use crate::{Consumer, ConsumerConfig, Live, ServeConfig, ServeMetrics, router, shop};

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
    running.write(Session::TOPIC, &frame(&session(1)));
    assert_eq!(messages.next().await.unwrap()["session"]["events"], 1);
    running.write(Session::TOPIC, &frame(&Session { device_id: Some("d-2"), session_id: Id(8), ..session(1) }));
    running.write(Propensity::TOPIC, &frame(&score(1)));
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
    running.write(Event::TOPIC, &frame(&event));
    running.write(Propensity::TOPIC, &frame(&score(1)));
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
    running.write(Event::TOPIC, &frame(&log_event));
    running.write(Order::TOPIC, &frame(&order("A", 1, 1_000)));
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
    running.write(Session::TOPIC, &frame(&session(1)));
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

#[tokio::test]
async fn a_start_reads_only_the_end_of_the_events_and_all_of_the_rest() {
    let log = MemoryLog::new();
    log.ensure_topics(&["events", "sessions"].map(spec)).unwrap();
    let fill = |topic: &str, count: u64| {
        let record = Append { topic: 0, partition: 0, timestamp_ms: NOW_MS, key: b"", value: b"x" };
        let records = vec![record; count as usize];
        let appender = log.appender(vec![topic.to_owned()]).unwrap();
        appender.append(&records, Box::new(|result| result.unwrap())).unwrap();
    };
    fill("events", 3 * READ_BACK);
    fill("sessions", 2 * READ_BACK);
    let clock: Arc<dyn Clock> = clock();
    let live = Live::new(ServeConfig::default(), &sites(), Arc::clone(&clock));
    let metrics = ServeMetrics::new(&prometheus::Registry::new()).unwrap();
    let config =
        ConsumerConfig { namespace: String::new(), instance: "a".to_owned(), schema_ids: SchemaIds::identity() };
    let consumer = Consumer::new(Arc::new(log.clone()), clock, config, Arc::clone(&live), metrics.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = Arc::clone(&stop);
    let running = std::thread::spawn(move || consumer.run(&stopping).unwrap());
    while live.figures("shop")["state"] != "live" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.store(true, Ordering::Release);
    running.join().unwrap();
    assert_eq!(metrics.records.with_label_values(&["unknown"]).get(), READ_BACK + 2 * READ_BACK);
}
