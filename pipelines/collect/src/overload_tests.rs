//! More than can be taken: what is refused, with which answer, and that nothing acknowledged is forgotten.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use bytes::Bytes;
use millstream_transports::LocalOptions;
use millstream_transports::embedded::{EmbeddedLog, EmbeddedOptions};
use millstream_transports::memory::{MemoryLog, MemorySync};

use crate::CollectConfig;
use crate::tests::{KEY, collector_on, collector_with, events, json_of, logged, post, send, shop};

#[tokio::test]
async fn requests_beyond_the_bytes_in_flight_are_told_to_come_back() {
    let log = MemoryLog::with_options(LocalOptions::default(), MemorySync::OnRequest);
    let config = CollectConfig { max_in_flight_bytes: 12_000, append_timeout_ms: 300, ..CollectConfig::default() };
    let router = collector_with(&log, shop(), config);
    let request = || {
        let body = events(50);
        let length = body.len();
        let request = Request::post("/v1/events").header("x-write-key", KEY).header("content-length", length);
        request.body(Body::from(body)).unwrap()
    };
    let synced = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        log.sync();
    };
    // The first waits for the log; beside it there is no room for the others.
    let (first, second, third, ()) =
        tokio::join!(send(&router, request()), send(&router, request()), send(&router, request()), synced);
    assert_eq!(first.status(), StatusCode::OK);
    for refused in [second, third] {
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
    }
    assert_eq!(logged(&log).len(), 50, "exactly what was acknowledged");
    // And then there is room again.
    let (again, ()) = tokio::join!(send(&router, request()), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        log.sync();
    });
    assert_eq!(again.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_body_that_does_not_come_gives_its_room_back() {
    let log = MemoryLog::new();
    // Room for one request of unknown length.
    let config = CollectConfig { max_in_flight_bytes: 3 << 20, body_timeout_ms: 50, ..CollectConfig::default() };
    let router = collector_with(&log, shop(), config);
    let stuck = Body::from_stream(futures_util::stream::pending::<Result<Bytes, Infallible>>());
    let response = post(&router, stuck).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(json_of(response).await["detail"].as_str().unwrap().contains("within 50 ms"));
    assert_eq!(post(&router, events(1)).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_disk_that_is_nearly_full_takes_nothing_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let full = EmbeddedOptions { min_free_bytes: u64::MAX, ..EmbeddedOptions::default() };
    {
        let log = EmbeddedLog::open(folder.path(), full).unwrap();
        let router = collector_on(&log, shop());
        let response = post(&router, events(3)).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key(header::RETRY_AFTER));
        let ready = Request::get("/readyz").body(Body::empty()).unwrap();
        assert_eq!(send(&router, ready).await.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(logged(&log).is_empty());
    }
    let log =
        EmbeddedLog::open(folder.path(), EmbeddedOptions { min_free_bytes: 0, ..EmbeddedOptions::default() }).unwrap();
    let router = collector_with(&log, shop(), CollectConfig::default());
    assert_eq!(post(&router, events(3)).await.status(), StatusCode::OK);
    assert_eq!(logged(&log).len(), 3);
}
