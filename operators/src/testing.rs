//! What the operators' tests share: events that own their texts, and a sink that keeps every record and the current view.

use std::collections::BTreeMap;

use millstream_schemas::input::Reason;
use millstream_schemas::{
    Attribution, Churn, Clv, DecodeRecord, Engagement, Event, HandOver, Id, Order, OrderEntry, OrderFact, OrderLine,
    Profile, Propensity, Refund, RefundLine, RefundMatch, Session,
};
use millstream_scoring::{Features, Reasons, Role, Score, Scorer};
use proptest::prelude::*;

use crate::core::context::Rejection;
use crate::core::{Context, Sink};

pub const MINUTE_MS: i64 = 60_000;
pub const SOURCE: Id = Id(0x5011);
pub const PERSON: Id = Id(0x9e45);

/// An event that owns its texts.
#[derive(Debug, Clone, Default)]
pub struct Told {
    pub id: String,
    pub kind: &'static str,
    pub time_ms: i64,
    pub sequence: Option<i64>,
    pub consent: i32,
    pub is_bot: bool,
    pub tracker: Option<String>,
    pub page_view_id: Option<String>,
    pub page: Option<String>,
    pub referrer: Option<String>,
    pub channel: &'static str,
    pub campaign: Option<&'static str>,
    pub os: &'static str,
    pub engaged_ms: Option<i64>,
    pub scroll: Option<i32>,
    pub order_id: Option<String>,
    pub amount_minor: i64,
    pub currency: &'static str,
}

impl Told {
    pub fn event(&self) -> Event<'_> {
        Event {
            site: "shop",
            event_id: &self.id,
            event_type: self.kind,
            event_time: self.time_ms,
            received_at: self.time_ms,
            sequence: self.sequence,
            consent: self.consent,
            is_bot: self.is_bot,
            device_id: Some("device"),
            source: Some(SOURCE),
            person: Some(PERSON),
            tracker_session_id: self.tracker.as_deref(),
            page_view_id: self.page_view_id.as_deref(),
            page_url: self.page.as_deref(),
            page_referrer: self.referrer.as_deref(),
            channel: self.channel,
            utm_source: self.campaign,
            os: self.os,
            engaged_ms: self.engaged_ms,
            scroll_depth_pct: self.scroll,
            order_id: self.order_id.as_deref(),
            amount_minor: self.order_id.is_some().then_some(self.amount_minor),
            currency: self.order_id.is_some().then_some(self.currency),
            ..Event::default()
        }
    }
}

const KINDS: [&str; 12] = [
    "page_view",
    "page_view",
    "page_ping",
    "click",
    "search",
    "product_view",
    "list_view",
    "add_to_cart",
    "remove_from_cart",
    "checkout_step",
    "purchase",
    "refund",
];

/// Events within a few hours, many at equal times, in 5-minute steps so that gaps of exactly 30 minutes are common.
pub fn events(max: usize) -> impl Strategy<Value = Vec<Told>> {
    let one = (
        (0..KINDS.len(), 0..60i64, prop::option::of(0..3i64), 0..8i32, any::<bool>()),
        (prop::option::of(0..3u8), prop::option::of(0..3u8), prop::option::of(0..4u8), 0..4usize, 0..4usize),
        (prop::option::of(0..9_000i64), prop::option::of(-5..120i32), 0..3u8, 0..500i64, 0..2usize),
    )
        .prop_map(|((kind, step, sequence, consent, is_bot), (tracker, view, page, channel, campaign), rest)| {
            let (engaged_ms, scroll, order, amount_minor, currency) = rest;
            let kind = KINDS[kind];
            Told {
                id: String::new(),
                kind,
                time_ms: step * 5 * MINUTE_MS,
                sequence,
                consent: 1 | (2 * i32::from(consent != 0)) | (consent & 4),
                is_bot,
                tracker: tracker.map(|n| format!("t{n}")),
                page_view_id: view.map(|n| format!("v{n}")),
                page: page.map(|n| format!("https://shop/{n}")),
                referrer: page.map(|n| format!("https://from/{n}")),
                channel: ["none", "direct", "paid_search", "email"][channel],
                campaign: [None, None, Some("spring"), Some("summer")][campaign],
                os: if is_bot { "linux" } else { "ios" },
                engaged_ms,
                scroll,
                order_id: (kind == "purchase").then(|| format!("o{order}")),
                amount_minor,
                currency: ["EUR", "GBP"][currency],
            }
        });
    prop::collection::vec(one, 1..max).prop_map(|mut events| {
        for (at, event) in events.iter_mut().enumerate() {
            // Ids that do not rise with time.
            event.id = format!("e{:03}", (at * 37 + 11) % 101);
        }
        events
    })
}

/// One emitted record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub topic: &'static str,
    pub key: String,
    pub revision: i64,
    pub retracted: bool,
    pub body: Vec<u8>,
}

/// Keeps everything that is emitted.
#[derive(Debug, Default)]
pub struct Recorder {
    pub rows: Vec<Row>,
    pub to_events: Vec<(&'static str, Vec<u8>)>,
    pub rejected: Vec<Reason>,
}

impl Recorder {
    fn row(
        &mut self,
        topic: &'static str,
        key: String,
        revision: i64,
        retracted: bool,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        let mut body = Vec::new();
        encode(&mut body);
        self.rows.push(Row { topic, key, revision, retracted, body });
    }

    /// The highest revision of each key of a topic, unless it is retracted.
    pub fn current(&self, topic: &str) -> BTreeMap<String, Vec<u8>> {
        let mut newest: BTreeMap<&str, &Row> = BTreeMap::new();
        for row in self.rows.iter().filter(|row| row.topic == topic) {
            let known = newest.entry(&row.key).or_insert(row);
            if row.revision >= known.revision {
                *known = row;
            }
        }
        newest
            .into_iter()
            .filter(|(_, row)| !row.retracted)
            .map(|(key, row)| (key.to_owned(), row.body.clone()))
            .collect()
    }

    /// Panics where a key has two records of one revision: one output per key per input record.
    pub fn assert_one_output_per_key_and_revision(&self) {
        let mut seen = std::collections::BTreeSet::new();
        for row in &self.rows {
            assert!(
                seen.insert((row.topic, &row.key, row.revision)),
                "{} {} twice at {}",
                row.topic,
                row.key,
                row.revision
            );
        }
    }
}

pub fn decode<'a, T: DecodeRecord<'a>>(body: &'a [u8]) -> T {
    T::decode(body).unwrap()
}

impl Sink for Recorder {
    fn session(&mut self, record: &Session<'_>) {
        let key = record.session_id.to_string();
        self.row("sessions", key, record.revision, record.retracted, |out| record.encode(out));
    }
    fn propensity(&mut self, record: &Propensity<'_>) {
        let key = record.session_id.to_string();
        self.row("propensity", key, record.revision, record.retracted, |out| record.encode(out));
    }
    fn order(&mut self, record: &Order<'_>) {
        self.row("orders", record.order_id.to_owned(), record.revision, record.retracted, |out| record.encode(out));
    }
    fn order_line(&mut self, record: &OrderLine<'_>) {
        let key = format!("{}/{}", record.order_id, record.line_no);
        self.row("order_lines", key, record.revision, record.retracted, |out| record.encode(out));
    }
    fn refund(&mut self, record: &Refund<'_>) {
        self.row("refunds", record.refund_id.to_owned(), record.revision, record.retracted, |out| record.encode(out));
    }
    fn refund_line(&mut self, record: &RefundLine<'_>) {
        let key = format!("{}/{}", record.refund_id, record.line_no);
        self.row("refund_lines", key, record.revision, record.retracted, |out| record.encode(out));
    }
    fn hand_over(&mut self, record: &HandOver<'_>) {
        let mut body = Vec::new();
        record.encode(&mut body);
        self.to_events.push(("hand_over", body));
    }
    fn order_entry(&mut self, record: &OrderEntry<'_>) {
        let mut body = Vec::new();
        record.encode(&mut body);
        self.to_events.push(("order_entry", body));
    }
    fn refund_match(&mut self, record: &RefundMatch<'_>) {
        let key = format!("{}/{}", record.refund_id, record.line_no);
        self.row("refund_matches", key, record.revision, record.retracted, |out| record.encode(out));
    }
    fn attribution(&mut self, record: &Attribution<'_>) {
        let key = format!("{}/{}/{}", record.order_id, record.model, record.touch_id);
        self.row("attribution", key, record.revision, record.retracted, |out| record.encode(out));
    }
    fn churn(&mut self, record: &Churn<'_>) {
        self.row("churn", record.person.to_string(), record.revision, record.retracted, |out| record.encode(out));
    }
    fn clv(&mut self, record: &Clv<'_>) {
        self.row("clv", record.person.to_string(), record.revision, record.retracted, |out| record.encode(out));
    }
    fn engagement(&mut self, record: &Engagement<'_>) {
        self.row("engagement", record.session_id.to_string(), record.revision, record.retracted, |out| {
            record.encode(out);
        });
    }
    fn profile(&mut self, record: &Profile<'_>) {
        self.row("profiles", record.person.to_string(), record.revision, record.retracted, |out| record.encode(out));
    }
    fn order_fact(&mut self, record: &OrderFact<'_>) {
        let mut body = Vec::new();
        record.encode(&mut body);
        self.to_events.push(("order_fact", body));
    }
    fn reject(&mut self, rejection: &Rejection<'_>) {
        self.rejected.push(rejection.reason);
    }
}

pub fn context(offset: u64, watermark_ms: i64, event_time_ms: i64, source_event: &str) -> Context<'_> {
    Context { offset, watermark_ms, settled_ms: watermark_ms, event_time_ms, source_event }
}

/// A scorer whose answer differs wherever any feature differs, so that a score made of the wrong history shows.
pub struct Witness;

impl Scorer for Witness {
    fn model(&self) -> &str {
        "witness"
    }

    fn version(&self) -> &str {
        "1"
    }

    fn calibration_version(&self) -> &str {
        "none"
    }

    fn role(&self) -> Role {
        Role::Challenger
    }

    fn schema_hash(&self) -> u128 {
        0
    }

    fn score(&self, features: &Features) -> Score {
        let bytes: Vec<u8> = features.0.iter().flat_map(|value| value.to_bits().to_le_bytes()).collect();
        let p = xxhash_rust::xxh3::xxh3_64(&bytes) as f64 / u64::MAX as f64;
        Score { p_raw: p, p, within_7_days: None, reasons: Reasons::default() }
    }
}
