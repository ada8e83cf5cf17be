//! Records for tests.

use millstream_schemas::{Attribution, Decimal, Event, Id, Line, Order, Propensity, Session, Watermark, purposes};

pub const SITE: &str = "shop";
pub const TIME: i64 = 1_571_400_000_123;

pub fn session_id(name: &str) -> Id {
    Id::of(&[b"session", name.as_bytes()])
}

/// A session of so many page views.
pub fn session(name: &str, revision: i64, page_views: i64, retracted: bool) -> Vec<u8> {
    session_allowed(name, revision, page_views, retracted, purposes::ALL)
}

/// One that may be used for these purposes.
pub fn session_allowed(name: &str, revision: i64, page_views: i64, retracted: bool, consent: i32) -> Vec<u8> {
    let id = session_id(name);
    let session = Session {
        site: SITE,
        session_id: id,
        revision,
        idempotency_key: Id::of(&[name.as_bytes(), &revision.to_be_bytes()]),
        retracted,
        event_time: TIME + page_views,
        started_at: TIME,
        ended_at: TIME + 1_000,
        consent,
        state: "open",
        page_views,
        channel: "direct",
        device_class: "desktop",
        os: "Linux",
        browser: "Firefox",
        ..Session::default()
    };
    let mut out = Vec::new();
    session.encode_framed(Session::ID, &mut out);
    out
}

/// An order of so much, of which so much was given back.
pub fn order(name: &str, revision: i64, amount_minor: i64, refunded_minor: i64) -> Vec<u8> {
    let order = Order {
        site: SITE,
        order_id: name,
        revision,
        event_time: TIME,
        consent: 15,
        currency: "EUR",
        amount_minor,
        refunded_minor,
        ..Order::default()
    };
    let mut out = Vec::new();
    order.encode_framed(Order::ID, &mut out);
    out
}

/// An event with consent for these purposes.
pub fn event(id: &str, consent: i32) -> Vec<u8> {
    let event = Event {
        site: SITE,
        event_id: id,
        event_type: "page_view",
        event_time: TIME,
        received_at: TIME + 5,
        time_quality: "as_sent",
        consent,
        origin: "http",
        channel: "direct",
        device_class: "desktop",
        os: "Linux",
        browser: "Firefox",
        ..Event::default()
    };
    let mut out = Vec::new();
    event.encode_framed(Event::ID, &mut out);
    out
}

/// An event that uses every type there is, at its limits.
pub fn full_event(id: &str) -> Vec<u8> {
    let price = |text: &str| text.parse::<Decimal>().unwrap();
    let event = Event {
        site: SITE,
        event_id: id,
        revision: (3 << 48) | 77,
        event_type: "purchase",
        event_time: TIME,
        received_at: TIME + 5,
        time_quality: "as_sent",
        sequence: Some(-9_007_199_254_740_993),
        consent: 15,
        is_bot: true,
        origin: "http",
        source: Some(Id::of(&[b"source"])),
        page_title: Some("Tab\there, \"quotes\", line\nend and 日本"),
        page_url: Some(""),
        channel: "direct",
        country: Some("DE"),
        device_class: "desktop",
        os: "Linux",
        browser: "Firefox",
        unit_price: Some(price("-999999999999.999999")),
        scroll_depth_pct: Some(i32::MIN),
        order_id: Some("o-1"),
        currency: Some("EUR"),
        amount_minor: Some(i64::MAX),
        lines: vec![
            Line {
                line_no: 1,
                product_id: "p-1",
                product_name: Some("A thing"),
                quantity: 2,
                unit_price: price("0.000001"),
                amount_minor: 1_999,
                cost_minor: Some(-1),
                ..Line::default()
            },
            Line { line_no: 2, product_id: "p-2", quantity: 1, unit_price: price("12.5"), ..Line::default() },
        ],
        properties: Some("{\"a\":[1,2]}"),
        ..Event::default()
    };
    let mut out = Vec::new();
    event.encode_framed(Event::ID, &mut out);
    out
}

/// A score with two reasons.
pub fn score(name: &str, revision: i64, p_purchase: f64) -> Vec<u8> {
    let score = Propensity {
        site: SITE,
        session_id: session_id(name),
        revision,
        event_time: TIME,
        consent: 15,
        p_purchase,
        role: "fallback",
        model: "heuristic",
        model_version: "1",
        calibration_version: "none",
        reasons: vec!["cart_adds", "it's, \"two\""],
        ..Propensity::default()
    };
    let mut out = Vec::new();
    score.encode_framed(Propensity::ID, &mut out);
    out
}

/// What one model credits to one touch of an order; the touch is named by its channel.
pub fn credit(
    order_id: &str,
    model: &str,
    channel: &str,
    weight: f64,
    gross_minor: i64,
    refunded_minor: i64,
) -> Vec<u8> {
    let credit = Attribution {
        site: SITE,
        order_id,
        model,
        touch_id: Id::of(&[b"touch", channel.as_bytes()]),
        revision: 1,
        event_time: TIME,
        consent: 15,
        channel,
        utm_campaign: (channel == "paid_search").then_some("autumn"),
        touch_kind: "session",
        touched_at: TIME,
        ordered_at: TIME,
        position: 1,
        touches: 2,
        weight,
        currency: "EUR",
        gross_minor,
        refunded_minor,
        credited_minor: gross_minor - refunded_minor,
        ..Attribution::default()
    };
    let mut out = Vec::new();
    credit.encode_framed(Attribution::ID, &mut out);
    out
}

/// Money spent on a channel, some days after the others.
pub fn spend(id: &str, channel: &str, campaign: Option<&str>, days: i64, amount_minor: i64) -> Vec<u8> {
    let event = Event {
        site: SITE,
        event_id: id,
        event_type: "spend",
        event_time: TIME + days * 86_400_000,
        received_at: TIME,
        time_quality: "trusted",
        consent: 15,
        origin: "import",
        channel: "none",
        spend_channel: Some(channel),
        spend_campaign: campaign,
        currency: Some("EUR"),
        amount_minor: Some(amount_minor),
        ..Event::default()
    };
    let mut out = Vec::new();
    event.encode_framed(Event::ID, &mut out);
    out
}

/// A record without a row, on the topic of events.
pub fn watermark() -> Vec<u8> {
    let mut out = Vec::new();
    Watermark { upstream: 0, upstreams: 1, time: TIME }.encode_framed(Watermark::ID, &mut out);
    out
}
