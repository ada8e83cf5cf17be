//! Through the router, on the in-memory log.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use millstream_schemas::{Collected, SchemaIds, frame};
use millstream_transports::memory::{MemoryLog, MemorySync};
use millstream_transports::{Batch, Fault, LocalOptions, Retention, TopicSpec, Transport};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{CollectConfig, CollectMetrics, Collector, SiteKeys, router};

pub(crate) const TOPIC: &str = "events.collected";
pub(crate) const KEY: &str = "key-of-shop-1";
pub(crate) const NOW_MS: i64 = 1_790_000_000_000;

pub(crate) fn shop() -> SiteKeys {
    SiteKeys {
        name: "shop".to_owned(),
        write_keys: vec![KEY.to_owned()],
        allowed_origins: vec!["https://shop.example".to_owned()],
        max_events_per_second: 1_000,
        keep_ip: false,
    }
}

pub(crate) fn collector_on(log: &dyn Transport, site: SiteKeys) -> Router {
    collector_with(log, site, CollectConfig { append_timeout_ms: 50, ..CollectConfig::default() })
}

pub(crate) fn collector_with(log: &dyn Transport, site: SiteKeys, config: CollectConfig) -> Router {
    router(state_with(log, site, config))
}

fn state_with(log: &dyn Transport, site: SiteKeys, config: CollectConfig) -> Arc<Collector> {
    let topic = TopicSpec { name: TOPIC.to_owned(), partitions: 4, retention: Retention::Forever };
    log.ensure_topics(&[topic]).unwrap();
    let metrics = Arc::new(CollectMetrics::new(&prometheus::Registry::new()).unwrap());
    let ids = SchemaIds::identity();
    Collector::new(config, vec![site], log, TOPIC, ids, metrics, Box::new(|| NOW_MS)).unwrap()
}

fn collector() -> (MemoryLog, Router) {
    let log = MemoryLog::new();
    let router = collector_on(&log, shop());
    (log, router)
}

pub(crate) async fn post(router: &Router, body: impl Into<Body>) -> Response {
    send(router, Request::post("/v1/events").header("x-write-key", KEY).body(body.into()).unwrap()).await
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Response {
    router.clone().oneshot(request).await.unwrap()
}

pub(crate) async fn json_of(response: Response) -> Value {
    serde_json::from_slice(&to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap()
}

pub(crate) fn events(count: usize) -> String {
    let events: Vec<Value> =
        (0..count).map(|n| json!({ "id": format!("e{n}"), "type": "page_view", "device": "d1" })).collect();
    json!({ "sent_at": "2026-11-21T10:00:00Z", "events": events }).to_string()
}

/// The payloads in the log, in order within each partition.
pub(crate) fn logged(log: &dyn Transport) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for partition in 0..4 {
        let mut reader = log.reader(TOPIC, partition, 0).unwrap();
        let mut batch = Batch::new();
        reader.poll(Duration::ZERO, &mut batch).unwrap();
        for record in batch.iter() {
            let (_, body) = frame::split(record.value).unwrap();
            let collected = Collected::decode(body).unwrap();
            assert_eq!((collected.received_at, collected.origin), (NOW_MS, "http"));
            all.push((collected.site.to_owned(), collected.payload.to_vec()));
        }
    }
    all
}

#[tokio::test]
async fn what_is_acknowledged_is_in_the_log_byte_for_byte() {
    let (log, router) = collector();
    let odd = r#"{ "id":"e9" ,"type":"page_view","device":"d1","x":1.50}"#;
    let response = post(&router, format!(r#"{{"events":[{odd}]}}"#)).await;
    assert_eq!(response.status(), StatusCode::OK);
    let answer = json_of(response).await;
    assert_eq!(answer["accepted"], 1);
    assert_eq!(answer["events"][0], json!({ "index": 0, "id": "e9", "status": "accepted" }));
    assert_eq!(logged(&log), [("shop".to_owned(), odd.as_bytes().to_vec())]);
}

#[tokio::test]
async fn an_unauthenticated_write_is_refused() {
    let (log, router) = collector();
    for request in [
        Request::post("/v1/events").body(events(1).into()).unwrap(),
        Request::post("/v1/events").header("x-write-key", "wrong").body(events(1).into()).unwrap(),
        Request::post("/v1/events?key=wrong").body(events(1).into()).unwrap(),
        Request::post("/v1/events")
            .header("x-write-key", KEY)
            .header("origin", "https://evil.example")
            .body(events(1).into())
            .unwrap(),
    ] {
        let response = send(&router, request).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(json_of(response).await["reason"], "unauthenticated");
    }
    assert!(logged(&log).is_empty());
}

#[tokio::test]
async fn every_way_to_give_the_key_works() {
    let (log, router) = collector();
    for request in [
        Request::post("/v1/events").header("authorization", format!("Bearer {KEY}")),
        Request::post("/v1/events").header("x-write-key", KEY),
        Request::post(format!("/v1/events?key={KEY}")),
    ] {
        let response = send(&router, request.body(events(1).into()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK);
    }
    assert_eq!(logged(&log).len(), 3);
}

#[tokio::test]
async fn bad_bodies_have_a_status_and_a_reason() {
    let (log, router) = collector();
    let cases: [(Vec<u8>, StatusCode, &str); 6] = [
        (b"{\"events\":[{".to_vec(), StatusCode::BAD_REQUEST, "invalid_json"),
        (b"[]".to_vec(), StatusCode::BAD_REQUEST, "wrong_type"),
        (b"{\"events\":[]}".to_vec(), StatusCode::BAD_REQUEST, "empty_batch"),
        (b"{}".to_vec(), StatusCode::BAD_REQUEST, "empty_batch"),
        (events(501).into_bytes(), StatusCode::PAYLOAD_TOO_LARGE, "too_many_events"),
        (vec![b' '; (1 << 20) + 1], StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
    ];
    for (body, status, reason) in cases {
        let response = post(&router, body).await;
        assert_eq!(response.status(), status, "{reason}");
        assert_eq!(json_of(response).await["reason"], reason);
    }
    assert!(logged(&log).is_empty());
}

#[tokio::test]
async fn ten_megabytes_are_refused_without_being_read_to_the_end() {
    let (log, router) = collector();
    let response = post(&router, vec![b'x'; 10 << 20]).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(json_of(response).await["reason"], "body_too_large");
    assert!(logged(&log).is_empty());
}

#[tokio::test]
async fn one_bad_event_does_not_take_the_others_with_it() {
    let (log, router) = collector();
    let mut body = br#"{"events":[{"id":"good","type":"page_view","device":"d1"},{"id":""#.to_vec();
    body.push(0xff);
    body.extend_from_slice(br#""},7,{"id":5},{"id":"big","pad":""#);
    body.extend(vec![b'x'; 70 << 10]);
    body.extend_from_slice(br#""}]}"#);
    let response = post(&router, body).await;
    assert_eq!(response.status(), StatusCode::OK);
    let answer = json_of(response).await;
    let reasons: Vec<&str> =
        answer["events"].as_array().unwrap().iter().map(|event| event["reason"].as_str().unwrap_or("-")).collect();
    assert_eq!(reasons, ["-", "invalid_utf8", "wrong_type", "wrong_type", "body_too_large"]);
    assert_eq!((answer["accepted"].as_u64(), answer["refused"].as_u64()), (Some(1), Some(4)));
    assert_eq!(logged(&log).len(), 1);
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn gzip_is_unpacked_within_the_limit() {
    let (log, router) = collector();
    let request = |body: Vec<u8>, encoding: &str| {
        Request::post("/v1/events")
            .header("x-write-key", KEY)
            .header("content-encoding", encoding)
            .body(body.into())
            .unwrap()
    };
    assert_eq!(send(&router, request(gzip(events(3).as_bytes()), "gzip")).await.status(), StatusCode::OK);
    assert_eq!(logged(&log).len(), 3);
    let bomb = gzip(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 1 << 20);
    for (body, encoding, reason) in [
        (bomb, "gzip", "body_too_large"),
        (b"no gzip".to_vec(), "gzip", "unsupported_encoding"),
        (events(1).into_bytes(), "br", "unsupported_encoding"),
    ] {
        assert_eq!(json_of(send(&router, request(body, encoding)).await).await["reason"], reason);
    }
}

#[tokio::test]
async fn nothing_is_acknowledged_that_the_log_has_not_confirmed() {
    let (log, router) = collector();
    log.faults().inject(Fault::AppendFailed);
    let response = post(&router, events(2)).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key(header::RETRY_AFTER));
    assert!(logged(&log).is_empty());
    let ready = || Request::get("/readyz").body(Body::empty()).unwrap();
    assert_eq!(send(&router, ready()).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(post(&router, events(1)).await.status(), StatusCode::OK);
    assert_eq!(send(&router, ready()).await.status(), StatusCode::OK);

    let unsynced = MemoryLog::with_options(LocalOptions::default(), MemorySync::OnRequest);
    let router = collector_on(&unsynced, shop());
    assert_eq!(
        post(&router, events(1)).await.status(),
        StatusCode::SERVICE_UNAVAILABLE,
        "waited and was never confirmed"
    );
}

#[tokio::test]
async fn a_full_queue_says_slow_down() {
    let options = LocalOptions { max_queued_bytes: 200, ..LocalOptions::default() };
    let log = MemoryLog::with_options(options, MemorySync::OnRequest);
    let router = collector_on(&log, shop());
    assert_eq!(post(&router, events(50)).await.status(), StatusCode::SERVICE_UNAVAILABLE, "queued, never synced");
    let response = post(&router, events(50)).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    assert_eq!(json_of(response).await["reason"], "unavailable");
}

#[tokio::test]
async fn a_site_has_its_rate() {
    let log = MemoryLog::new();
    let router = collector_on(&log, SiteKeys { max_events_per_second: 5, ..shop() });
    assert_eq!(post(&router, events(10)).await.status(), StatusCode::OK);
    let response = post(&router, events(10)).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(json_of(response).await["reason"], "rate_limited");
}

#[tokio::test]
async fn browsers_may_ask_first_and_remember_the_answer() {
    let (_log, router) = collector();
    let preflight = |origin: &str| {
        Request::options("/v1/events")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .body(Body::empty())
            .unwrap()
    };
    let response = send(&router, preflight("https://shop.example")).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(response.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "https://shop.example");
    assert_eq!(response.headers()[header::ACCESS_CONTROL_MAX_AGE], "7200");
    assert_eq!(send(&router, preflight("https://evil.example")).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_registrys_client_finds_every_schema() {
    let (_log, router) = collector();
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let response = send(&router, get(&format!("/schemas/ids/{}", Collected::ID))).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/vnd.schemaregistry.v1+json");
    let schema: Value = serde_json::from_str(json_of(response).await["schema"].as_str().unwrap()).unwrap();
    assert_eq!(schema["type"], "record");
    let missing = send(&router, get("/schemas/ids/999")).await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    assert_eq!(json_of(missing).await["error_code"], 40403);
    for subject in json_of(send(&router, get("/subjects")).await).await.as_array().unwrap() {
        let path = format!("/subjects/{}/versions/latest", subject.as_str().unwrap());
        assert_eq!(json_of(send(&router, get(&path)).await).await["subject"], *subject);
    }
}

#[tokio::test]
async fn a_shop_gets_the_tracker_from_here_and_keeps_it() {
    let (_log, router) = collector();
    let response = send(&router, Request::get("/tracker.js").body(Body::empty()).unwrap()).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
    let tag = response.headers()[header::ETAG].clone();
    let script = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    assert!(script.starts_with(b"/*! Millstream tracker"));

    let again = Request::get("/tracker.js").header("if-none-match", tag).body(Body::empty()).unwrap();
    let response = send(&router, again).await;
    assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    assert!(to_bytes(response.into_body(), 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_closed_namespace_refuses_until_it_is_open_again() {
    let log = MemoryLog::new();
    let collector = state_with(&log, shop(), CollectConfig::default());
    let router = router(Arc::clone(&collector));
    let ready = || Request::get("/readyz").body(Body::empty()).unwrap();
    collector.looked(None, collector.monotonic_now());
    assert_eq!(post(&router, events(1)).await.status(), StatusCode::OK);
    collector.looked(Some("rebuilt.".to_owned()), collector.monotonic_now());
    let refused = post(&router, events(1)).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key(header::RETRY_AFTER), "its sender keeps the events");
    let said = to_bytes(refused.into_body(), 1_000).await.unwrap();
    let said: Value = serde_json::from_slice(&said).unwrap();
    assert_eq!(said["reason"], "namespace_closed");
    assert!(said["detail"].as_str().unwrap().contains("rebuilt."), "{said}");
    assert_eq!(send(&router, ready()).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    collector.looked(None, collector.monotonic_now());
    assert_eq!(post(&router, events(1)).await.status(), StatusCode::OK);
    assert_eq!(send(&router, ready()).await.status(), StatusCode::OK);
}
