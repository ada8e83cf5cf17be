//! Records for the stage, and what it wrote.

use millstream_ingest::{
    IngestConfig, IngestFactory, IngestStage, IngestTopics, OUT_EVENTS, OUT_IDENTITY, OUT_REJECTED,
};
use millstream_runtime::{Outputs, Stage};
use millstream_schemas::closing::{Closing, NAMESPACE_CLOSED_KIND};
use millstream_schemas::{
    Collected, Control, Event, Identity, OrderEntry, Rejected, SourceMoved, Tick, Watermark, frame,
};
use millstream_transports::{RecordRef, Retention, TopicSpec};
use serde_json::{Value, json};

pub const SITE: &str = "shop";
/// A receive time to start from.
pub const NOON: i64 = 1_790_000_000_000;
/// Partitions of `events` in tests.
pub const EVENTS_PARTITIONS: u32 = 7;

fn topic(name: &str, partitions: u32) -> TopicSpec {
    TopicSpec { name: name.to_owned(), partitions, retention: Retention::Forever }
}

pub fn config() -> IngestConfig {
    IngestConfig::new(IngestTopics {
        collected: topic("events.collected", 3),
        events: topic("events", EVENTS_PARTITIONS),
        rejected: topic("events.rejected", 3),
        identity: topic("identity", 3),
        ledger: topic("ledger", 3),
    })
}

pub fn factory() -> IngestFactory {
    IngestFactory::new(config())
}

/// The partition that tests feed.
pub const PARTITION: u32 = 2;

pub fn stage() -> IngestStage {
    factory().stage(PARTITION)
}

pub fn framed(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut value = Vec::new();
    write(&mut value);
    value
}

/// A live event as collect writes it.
pub fn live(received_at: i64, payload: &[u8]) -> Vec<u8> {
    let collected = Collected { site: SITE, origin: "http", received_at, payload, ..Collected::default() };
    framed(|bytes| collected.encode_framed(Collected::ID, bytes))
}

/// A live event, received at noon.
pub fn event(json: Value) -> Vec<u8> {
    live(NOON, json.to_string().as_bytes())
}

/// A page view of a device.
pub fn page_view(id: &str, device: &str) -> Vec<u8> {
    event(json!({"id": id, "type": "page_view", "device": device, "page": {"url": "https://shop.example/"}}))
}

pub fn tick(origin: &str, time: i64) -> Vec<u8> {
    framed(|bytes| Tick { origin, time }.encode_framed(Tick::ID, bytes))
}

pub fn site_config(number: i64, effective_at: i64, body: Value) -> Vec<u8> {
    let body = body.to_string();
    let control = Control { number, kind: "site_config", site: SITE, effective_at, body: &body };
    framed(|bytes| control.encode_framed(Control::ID, bytes))
}

pub fn namespace_closed(number: i64, successor: Option<&str>) -> Vec<u8> {
    let body = Closing { successor: successor.map(str::to_owned) }.body();
    let control = Control { number, kind: NAMESPACE_CLOSED_KIND, site: "", effective_at: 0, body: &body };
    framed(|bytes| control.encode_framed(Control::ID, bytes))
}

pub fn record(offset: u64, value: &[u8]) -> RecordRef<'_> {
    RecordRef { topic: 0, partition: PARTITION, offset, timestamp_ms: NOON, key: b"", value }
}

/// Feeds the records from offset `from` on, with gaps as a log has them.
pub fn feed(stage: &mut dyn Stage, from: u64, values: &[Vec<u8>], out: &mut Outputs) {
    for (offset, value) in (from..).zip(values) {
        stage.on_record(record(offset * 2, value), out);
    }
}

/// What a fresh stage writes for these records.
pub fn run(values: &[Vec<u8>]) -> Outputs {
    let mut out = Outputs::new();
    feed(&mut stage(), 0, values, &mut out);
    out
}

/// One record written, with its partition.
#[derive(Debug, PartialEq)]
pub enum Written<'a> {
    Event(u32, Box<Event<'a>>),
    Moved(u32, SourceMoved<'a>),
    Order(u32, Box<OrderEntry<'a>>),
    Watermark(u32, Watermark),
    Identity(Identity<'a>),
    Rejected(Box<Rejected<'a>>),
}

pub fn written(out: &Outputs) -> Vec<Written<'_>> {
    out.iter()
        .map(|append| {
            let (id, body) = frame::split(append.value).unwrap();
            let at = append.partition;
            match (append.topic, id) {
                (OUT_EVENTS, Event::ID) => Written::Event(at, Box::new(Event::decode(body).unwrap())),
                (OUT_EVENTS, SourceMoved::ID) => Written::Moved(at, SourceMoved::decode(body).unwrap()),
                (OUT_EVENTS, OrderEntry::ID) => Written::Order(at, Box::new(OrderEntry::decode(body).unwrap())),
                (OUT_EVENTS, Watermark::ID) => Written::Watermark(at, Watermark::decode(body).unwrap()),
                (OUT_IDENTITY, Identity::ID) => Written::Identity(Identity::decode(body).unwrap()),
                (OUT_REJECTED, Rejected::ID) => Written::Rejected(Box::new(Rejected::decode(body).unwrap())),
                other => panic!("unexpected record {other:?}"),
            }
        })
        .collect()
}

pub fn events(out: &Outputs) -> Vec<Event<'_>> {
    let events = written(out).into_iter();
    events.filter_map(|written| if let Written::Event(_, event) = written { Some(*event) } else { None }).collect()
}

pub fn orders(out: &Outputs) -> Vec<(u32, OrderEntry<'_>)> {
    let entries = written(out).into_iter();
    entries
        .filter_map(|written| if let Written::Order(at, entry) = written { Some((at, *entry)) } else { None })
        .collect()
}

pub fn identities(out: &Outputs) -> Vec<Identity<'_>> {
    let rows = written(out).into_iter();
    rows.filter_map(|written| if let Written::Identity(row) = written { Some(row) } else { None }).collect()
}

pub fn rejected(out: &Outputs) -> Vec<Rejected<'_>> {
    let letters = written(out).into_iter();
    letters.filter_map(|written| if let Written::Rejected(letter) = written { Some(*letter) } else { None }).collect()
}

/// The event ids accepted, in order.
pub fn ids(out: &Outputs) -> Vec<String> {
    events(out).iter().map(|event| event.event_id.to_owned()).collect()
}
