//! Dead letters on a log in memory, with the real ingest stage behind them.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use millstream_dead_letters::{Filter, Place, Refusal, find, list, plan, replay};
use millstream_ingest::{Fate, IngestConfig, IngestFactory, IngestTopics};
use millstream_runtime::{Clock, EpochLimits, Step, Worker, WorkerConfig};
use millstream_schemas::topics::TOPICS;
use millstream_schemas::{Collected, Rejected, SchemaIds};
use millstream_transports::memory::MemoryLog;
use millstream_transports::{Append, Retention, TopicSpec, Transport};
use serde_json::json;

const NOW: i64 = 1_790_000_000_000;
const HOUR: i64 = 3_600_000;
const PARTITIONS: u32 = 2;

fn spec(name: &str) -> TopicSpec {
    TopicSpec { name: name.to_owned(), partitions: PARTITIONS, retention: Retention::Forever }
}

#[derive(Default)]
struct CountingClock(AtomicU64);

impl Clock for CountingClock {
    fn now_ms(&self) -> i64 {
        NOW
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

struct World {
    log: MemoryLog,
    transport: Arc<dyn Transport>,
    ids: SchemaIds,
}

impl World {
    fn new() -> Self {
        let log = MemoryLog::new();
        let transport: Arc<dyn Transport> = Arc::new(log.clone());
        transport.ensure_topics(&TOPICS.iter().map(|topic| spec(topic.name)).collect::<Vec<_>>()).unwrap();
        Self { log, transport, ids: SchemaIds::identity() }
    }

    fn place(&self) -> Place<'_> {
        Place { transport: self.transport.as_ref(), namespace: "", schema_ids: &self.ids }
    }

    fn append(&self, topic: &str, partition: u32, value: &[u8]) {
        let appender = self.transport.appender(vec![topic.to_owned()]).unwrap();
        let record = Append { topic: 0, partition, timestamp_ms: NOW, key: b"device", value };
        appender.append(&[record], Box::new(|result| result.unwrap())).unwrap();
    }

    fn collect(&self, received_at: i64, origin: &str, payload: &str) {
        let collected = Collected {
            site: "shop",
            origin,
            received_at,
            user_agent: Some("Mozilla/5.0 (X11; Linux x86_64) Firefox/130"),
            global_privacy_control: true,
            payload: payload.as_bytes(),
            ..Collected::default()
        };
        let mut value = Vec::new();
        collected.encode_framed(Collected::ID, &mut value);
        self.append("events.collected", 1, &value);
    }

    /// Writes a letter about the record at this offset, as an older ingest would have that did not know better.
    fn letter(&self, offset: i64, stage: &str, reason: &str) {
        let id = format!("events.collected:1:{offset}");
        let letter = Rejected {
            rejection_id: &id,
            event_time: NOW - offset,
            site: "shop",
            stage,
            reason,
            detail: "what was wrong",
            topic: Some("events.collected"),
            partition: Some(1),
            offset: Some(offset),
            payload: b"the bytes",
            ..Rejected::default()
        };
        let mut value = Vec::new();
        letter.encode_framed(Rejected::ID, &mut value);
        let appender = self.transport.appender(vec!["events.rejected".to_owned()]).unwrap();
        let record = Append { topic: 0, partition: 1, timestamp_ms: NOW, key: id.as_bytes(), value: &value };
        appender.append(&[record], Box::new(|result| result.unwrap())).unwrap();
    }

    /// Runs ingest over everything and says how many events it accepted and dropped as duplicates.
    fn ingest(&self) -> (u64, u64) {
        let topics = IngestTopics {
            collected: spec("events.collected"),
            events: spec("events"),
            rejected: spec("events.rejected"),
            identity: spec("identity"),
            ledger: spec("ledger"),
        };
        let factory = IngestFactory::new(IngestConfig::new(topics));
        let config = WorkerConfig {
            namespace: String::new(),
            instance_id: "test".to_owned(),
            limits: EpochLimits::default(),
            tick_after_ms: None,
            max_poisoned: 0,
            snapshots: None,
            standbys: None,
        };
        let clock = Arc::new(CountingClock::default());
        let mut worker = Worker::new(Arc::clone(&self.transport), Arc::new(factory.clone()), clock, config).unwrap();
        let mut idle = 0;
        while idle < 3 {
            idle = if worker.step().unwrap() == Step::Idle { idle + 1 } else { 0 };
        }
        (factory.fates().get(Fate::Accepted), factory.fates().get(Fate::Duplicate))
    }
}

fn view(id: &str) -> String {
    json!({ "id": id, "type": "page_view", "device": "d", "page": { "url": "https://shop.example/" } }).to_string()
}

fn horizon(_site: &str) -> i64 {
    24 * HOUR
}

#[test]
fn letters_are_counted_shown_and_found() {
    let world = World::new();
    for offset in 0..30 {
        world.letter(offset, "ingest", if offset % 3 == 0 { "too_long" } else { "invalid_time" });
    }
    world.append("events.rejected", 0, b"no letter");
    let listing = list(world.place(), &Filter::default(), 5).unwrap();
    let counts: Vec<(&str, u64)> = listing.counts.iter().map(|count| (count.reason.as_str(), count.letters)).collect();
    assert_eq!((counts, listing.unreadable), (vec![("invalid_time", 20), ("too_long", 10)], 1));
    assert_eq!((listing.counts[0].first_ms, listing.counts[0].last_ms), (NOW - 29, NOW - 1));
    let newest: Vec<&str> = listing.newest.iter().map(|letter| letter.id.as_str()).collect();
    let expected: Vec<String> = (0..5).map(|offset| format!("events.collected:1:{offset}")).collect();
    assert_eq!(newest, expected);

    let filter = Filter { reason: Some("too_long".to_owned()), since_ms: Some(NOW - 10), ..Filter::default() };
    let listing = list(world.place(), &filter, 50).unwrap();
    assert_eq!(listing.newest.len(), 4);

    let letter = find(world.place(), "events.collected:1:7").unwrap().unwrap();
    assert_eq!((letter.payload.as_slice(), letter.origin.unwrap().offset), (&b"the bytes"[..], 7));
    assert!(find(world.place(), "events.collected:1:77").unwrap().is_none());
}

#[test]
fn a_replayed_event_is_accepted_once_however_often() {
    let world = World::new();
    world.collect(NOW - HOUR, "http", &view("a"));
    world.collect(NOW - HOUR, "http", &view("b"));
    world.letter(0, "ingest", "invalid_time");
    world.letter(1, "ingest", "invalid_time");
    // The same record was refused twice, by two versions say.
    world.letter(1, "ingest", "invalid_time");
    for _ in 0..2 {
        let plan = plan(world.place(), &Filter::default(), NOW, &horizon, 100).unwrap();
        assert_eq!((plan.events(), plan.refused.len()), (2, 0));
        let replayed = replay(world.place(), &plan, |_| {}).unwrap();
        assert_eq!(replayed.appended, 2);
    }
    // Two that came, and two replays of both.
    assert_eq!(world.ingest(), (2, 4));
    let mut reader = world.log.reader("events.collected", 1, 0).unwrap();
    let mut batch = millstream_transports::Batch::new();
    reader.poll(Duration::ZERO, &mut batch).unwrap();
    let records: Vec<Collected<'_>> = batch
        .iter()
        .map(|record| Collected::decode(millstream_schemas::frame::split(record.value).unwrap().1).unwrap())
        .collect();
    assert_eq!(batch.iter().filter(|record| record.key == b"device").count(), records.len());
    assert_eq!(Collected { origin: "http", ..records[2].clone() }, records[0]);
    assert_eq!(records[2].origin, "replay");
}

#[test]
fn nothing_is_replayed_that_could_count_twice_or_harm() {
    let world = World::new();
    let no_id = view("x").replace("\"id\":\"x\",", "");
    let old = json!({ "id": "old", "type": "page_view", "device": "d", "time": NOW - 30 * HOUR }).to_string();
    world.collect(NOW - HOUR, "http", &no_id);
    world.collect(NOW - HOUR, "http", "{ no event");
    world.collect(NOW - 30 * HOUR, "http", &view("received long ago"));
    world.collect(NOW - 10 * HOUR, "http", &old);
    world.collect(NOW - HOUR, "import", &view("imported"));
    world.append("events.collected", 1, b"no frame");
    world.collect(NOW - HOUR, "http", &view("fine"));
    for offset in 0..7 {
        world.letter(offset, "ingest", "invalid_time");
    }
    // Beyond the end of the log, as where retention was shorter for the records than for the letters.
    world.letter(99, "ingest", "invalid_time");
    world.letter(6, "profile", "operator_panic");
    world.letter(6, "import", "mapping_rule");
    world.letter(6, "deliver", "corrupt_frame");
    let all = plan(world.place(), &Filter::default(), NOW, &horizon, 100).unwrap();
    assert_eq!(all.events(), 1);
    let refused: Vec<(Refusal, u64)> = all.refused.iter().map(|(why, count)| (*why, *count)).collect();
    let expected = [
        (Refusal::AcceptedByIngest, 1),
        (Refusal::Imported, 2),
        (Refusal::NoEvent, 2),
        (Refusal::NoId, 1),
        (Refusal::StillInvalid, 1),
        (Refusal::TooOld, 2),
        (Refusal::Gone, 1),
    ];
    assert_eq!(refused, expected);
    assert_eq!(replay(world.place(), &all, |_| {}).unwrap().appended, 1);

    let limited = plan(world.place(), &Filter::default(), NOW, &horizon, 2).unwrap();
    assert_eq!(limited.refused[&Refusal::BeyondLimit], 6);
    let one = Filter { id: Some("events.collected:1:6".to_owned()), ..Filter::default() };
    assert_eq!(plan(world.place(), &one, NOW, &horizon, 2).unwrap().events(), 1);
}
