//! A log on which ingest and profile have worked, and tables that hold what was delivered.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use millstream_deliver::clickhouse::write_field;
use millstream_deliver::{BatchLimits, DeliverConfig, Fate, Route, read, routes};
use millstream_ingest::{IngestConfig, IngestFactory, IngestTopics};
use millstream_profile::{ProfileConfig, ProfileFactory, ProfileTopics};
use millstream_runtime::{Clock, EpochLimits, StageFactory, Step, Worker, WorkerConfig};
use millstream_schemas::topics::{Partitions, TOPICS};
use millstream_schemas::{Collected, Id, RecordSchema, Tick};
use millstream_transports::memory::MemoryLog;
use millstream_transports::{Append, Batch, Committed, Retention, TopicSpec, Transport};
use millstream_verify::{Kind, RecordRow, Report, RowCells, Scope, TableError, Tables, verify};
use serde_json::json;

pub const PARTITIONS: u32 = 2;
pub const STAGES: [(&str, &str); 2] = [("ingest", "events.collected"), ("profile", "events")];
const GROUP: &str = "deliver-test";
const NOON: i64 = 1_790_000_000_000;

fn spec(name: &str) -> TopicSpec {
    let one = TOPICS.iter().any(|topic| topic.name == name && topic.partitions == Partitions::One);
    TopicSpec { name: name.to_owned(), partitions: if one { 1 } else { PARTITIONS }, retention: Retention::Forever }
}

#[derive(Default)]
struct CountingClock(AtomicU64);

impl Clock for CountingClock {
    fn now_ms(&self) -> i64 {
        0
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

pub struct World {
    pub log: MemoryLog,
    pub transport: Arc<dyn Transport>,
    workers: Vec<Worker>,
    fed: u64,
}

impl World {
    /// Some hours of a small shop, processed; epochs are short, so that there are many transactions.
    pub fn new() -> Self {
        let log = MemoryLog::new();
        let transport: Arc<dyn Transport> = Arc::new(log.clone());
        transport.ensure_topics(&TOPICS.iter().map(|topic| spec(topic.name)).collect::<Vec<_>>()).unwrap();
        let topics = IngestTopics {
            collected: spec("events.collected"),
            events: spec("events"),
            rejected: spec("events.rejected"),
            identity: spec("identity"),
            ledger: spec("ledger"),
        };
        let stages: [Arc<dyn StageFactory>; 2] = [
            Arc::new(IngestFactory::new(IngestConfig::new(topics))),
            Arc::new(ProfileFactory::new(ProfileConfig::new(ProfileTopics::of(spec)))),
        ];
        let workers = stages.map(|stage| {
            let config = WorkerConfig {
                namespace: String::new(),
                instance_id: "test".to_owned(),
                limits: EpochLimits { max_ms: 3, ..EpochLimits::default() },
                tick_after_ms: None,
                max_poisoned: 0,
                snapshots: None,
                standbys: None,
            };
            Worker::new(Arc::clone(&transport), stage, Arc::new(CountingClock::default()), config).unwrap()
        });
        let mut world = Self { log, transport, workers: workers.into(), fed: 0 };
        for _ in 0..6 {
            world.feed();
            world.drain();
        }
        world
    }

    /// A round of events: views, a purchase, a duplicate and something that is no event; then time passes.
    pub fn feed(&mut self) {
        let round = self.fed;
        self.fed += 1;
        let at = NOON + i64::try_from(round).unwrap() * 7_200_000;
        let view = |device: u64, n: u64| {
            json!({ "id": format!("v{round}-{device}-{n}"), "type": "page_view", "device": format!("d{device}"),
                "page": { "url": "https://shop.example/" } })
        };
        let order = json!({ "id": format!("b{round}"), "type": "purchase", "device": "d1", "user": "u1", "order": {
            "id": format!("o{round}"), "amount": "12.50", "currency": "EUR",
            "lines": [{ "product_id": "p", "quantity": 2, "price": "6.25" }] } });
        let mut events: Vec<Vec<u8>> =
            (0..4).flat_map(|device| (0..3).map(move |n| view(device, n).to_string().into())).collect();
        events.push(order.to_string().into());
        events.push(order.to_string().into());
        events.push(b"{ no event".to_vec());
        for (number, payload) in events.iter().enumerate() {
            let collected =
                Collected { site: "shop", origin: "http", received_at: at, payload, ..Collected::default() };
            let mut value = Vec::new();
            collected.encode_framed(Collected::ID, &mut value);
            self.append("events.collected", number as u32 % PARTITIONS, at, &value);
        }
        for partition in 0..PARTITIONS {
            let mut value = Vec::new();
            Tick { origin: "live", time: at + 7_000_000 }.encode_framed(Tick::ID, &mut value);
            self.append("events.collected", partition, at, &value);
        }
    }

    pub fn append(&self, topic: &str, partition: u32, timestamp_ms: i64, value: &[u8]) {
        let appender = self.transport.appender(vec![topic.to_owned()]).unwrap();
        let record = Append { topic: 0, partition, timestamp_ms, key: b"k", value };
        appender.append(&[record], Box::new(|result| result.unwrap())).unwrap();
    }

    /// Steps both stages until neither has anything to do.
    pub fn drain(&mut self) {
        let mut idle = 0;
        while idle < 2 {
            let steps: Vec<Step> = self.workers.iter_mut().map(|worker| worker.step().unwrap()).collect();
            idle = if steps.iter().all(|step| *step == Step::Idle) { idle + 1 } else { 0 };
        }
    }

    /// Offset, timestamp and value of everything committed in a partition.
    pub fn read(&self, topic: &str, partition: u32) -> Vec<(u64, i64, Vec<u8>)> {
        let mut reader = self.transport.reader(topic, partition, 0).unwrap();
        let (mut batch, mut all) = (Batch::new(), Vec::new());
        loop {
            let ended = reader.at_end().unwrap();
            reader.poll(Duration::ZERO, &mut batch).unwrap();
            all.extend(batch.iter().map(|r| (r.offset, r.timestamp_ms, r.value.to_vec())));
            if ended && batch.is_empty() {
                return all;
            }
        }
    }

    /// Puts everything into tables and commits the delivery's offsets.
    pub fn deliver(&self) -> FakeTables {
        let config = config();
        let mut tables = FakeTables::default();
        for route in routes(self.transport.as_ref(), "", GROUP).unwrap() {
            for partition in 0..route.partitions {
                let mut end = 0;
                for (offset, _, value) in self.read(&route.topic, partition) {
                    end = offset + 1;
                    if let Fate::Row(values) = read(&route, &config.schema_ids, config.required_purposes, &value) {
                        let rows = tables.expected(route.schema, &[RecordRow { offset, values }]).unwrap();
                        tables.rows.entry((route.table, partition)).or_default().extend(rows);
                    }
                }
                let committed = Committed { offset: end, metadata: String::new() };
                self.log.commit_foreign(GROUP, &route.topic, partition, committed).unwrap();
            }
        }
        tables
    }

    pub fn verify(&self, tables: &mut FakeTables) -> Report {
        verify_on(self.transport.as_ref(), tables)
    }
}

pub fn config() -> DeliverConfig {
    DeliverConfig::new("test", "w", BatchLimits::clickhouse())
}

pub fn verify_on(transport: &dyn Transport, tables: &mut dyn Tables) -> Report {
    let config = config();
    let (mut last, mut told) = ((0, 0), 0);
    let report = verify(transport, tables, &Scope { deliver: &config, stages: &STAGES }, &mut |done, total, _| {
        assert!(done < total && (done, total) >= last);
        last = (done, total);
        told += 1;
    });
    assert_eq!(told, last.1);
    report.unwrap()
}

/// The differences as kind and words.
pub fn told(report: &Report) -> Vec<(Kind, String)> {
    report.differences.iter().map(|difference| (difference.kind, difference.to_string())).collect()
}

/// Tables in memory.
#[derive(Default)]
pub struct FakeTables {
    pub rows: BTreeMap<(&'static str, u32), Vec<RowCells>>,
}

impl Tables for FakeTables {
    fn stored(&mut self, route: &Route, partition: u32, offsets: Range<u64>) -> Result<Vec<RowCells>, TableError> {
        let rows = self.rows.get(&(route.table, partition)).cloned().unwrap_or_default();
        Ok(rows.into_iter().filter(|row| offsets.contains(&row.offset)).collect())
    }

    fn strays(&mut self, route: &Route) -> Result<Vec<(u32, u64)>, TableError> {
        let beyond =
            self.rows.iter().filter(|((table, partition), _)| *table == route.table && *partition >= route.partitions);
        Ok(beyond.flat_map(|((_, partition), rows)| rows.iter().map(|row| (*partition, row.offset))).collect())
    }

    fn expected(&mut self, schema: &'static RecordSchema, rows: &[RecordRow<'_>]) -> Result<Vec<RowCells>, TableError> {
        let hash = |bytes: &[u8]| Id::of(&[bytes]).0 as u64;
        let row = |row: &RecordRow<'_>| RowCells {
            offset: row.offset,
            cells: schema
                .fields
                .iter()
                .zip(&row.values)
                .map(|(field, value)| {
                    let mut bytes = Vec::new();
                    write_field(&mut bytes, field, value).unwrap();
                    hash(&bytes)
                })
                .collect(),
        };
        Ok(rows.iter().map(row).collect())
    }
}
