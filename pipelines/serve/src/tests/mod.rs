//! From records in the log to what a connection is pushed, on the in-memory log.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod streaming;
mod views;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use millstream_runtime::{Clock, SystemClock};
use millstream_schemas::{Id, Order, Propensity, Record, SchemaIds, Session, frame as framing};
use serde_json::Value;

use crate::live::Taken;
use crate::{Live, ServeConfig, SiteTokens};

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

fn frame<R: Record>(record: &R) -> Vec<u8> {
    let mut bytes = Vec::new();
    framing::begin(R::SCHEMA.id, &mut bytes);
    record.encode(&mut bytes);
    bytes
}

fn take(live: &Live, frame: &[u8]) {
    assert_eq!(live.take(frame, &SchemaIds::identity()), Taken::Applied);
}

fn visitor(live: &Live, device: &str) -> Value {
    live.visitor_since("shop", device, None).unwrap().1
}
