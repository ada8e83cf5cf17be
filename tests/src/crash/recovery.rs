//! `kill -9` of a worker with many people in state: how long until it is caught up.
//!
//! Caught up is, of the time from the start of the process, when in every partition a score is committed of an event that was received
//! after the process had started: by then every partition is owned, its state is restored and replayed, and everything that waited
//! meanwhile is processed, for a task processes its input in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use millstream_kafka::{KafkaConfig, KafkaTransport};
use millstream_schemas::input_key::{InputIdentity, input_key};
use millstream_schemas::{Collected, Propensity};
use millstream_transports::{Append, Appender, Batch, Transport, TransportError, partition_for};

use super::seeded::Seeded;
use super::servers::DevServer;
use super::storm::fleet::Node;
use crate::binary::Installation;
use crate::service::now_ms;

const PARTITIONS: u32 = 4;
const SITE: &str = "demo";
const COLLECTED: &str = "events.collected";
/// Events of one append.
const APPEND_EVENTS: u64 = 500;
/// Bytes that may wait to be written.
const QUEUE_BYTES: usize = 16 << 20;
/// Between two appends under load.
const BEAT: Duration = Duration::from_millis(10);
/// For what comes true unless something is broken.
const PATIENCE: Duration = Duration::from_secs(1_800);

/// A measurement.
#[derive(Debug, Clone)]
pub struct Recovery {
    /// People in state.
    pub people: u64,
    /// Load while it is killed.
    pub events_per_second: u64,
    /// Between two snapshots of a partition, milliseconds.
    pub snapshot_interval_ms: u64,
    /// How often it is killed.
    pub kills: u32,
    /// `classic` or `consumer`.
    pub protocol: String,
    /// Seed of the moments.
    pub seed: u64,
}

/// What was measured.
#[derive(Debug, Clone)]
pub struct Measured {
    /// How long loading took.
    pub loaded: Duration,
    /// From each start to caught up.
    pub caught_up: Vec<Duration>,
    /// From each start to the first score after it, of any partition.
    pub first_score: Vec<Duration>,
    /// How the worker's lives began, in words.
    pub lives: String,
}

/// Measures; `None` where the machine lacks a server.
///
/// # Panics
/// Where the worker does not get there.
pub fn measure(test: &str, recovery: &Recovery) -> Option<Measured> {
    let broker = DevServer::start(test, "kafka", "KAFKA_BROKERS")?;
    let mut installation = Installation::embedded();
    for (key, value) in [
        ("TRANSPORT", "kafka"),
        ("KAFKA__BROKERS", &broker.address),
        ("KAFKA__DEVELOPMENT", "true"),
        ("KAFKA__SESSION_TIMEOUT_MS", "6000"),
        ("KAFKA__GROUP_PROTOCOL", &recovery.protocol),
        ("PARTITIONS", &PARTITIONS.to_string()),
        ("SNAPSHOTS__INTERVAL_MS", &recovery.snapshot_interval_ms.to_string()),
    ] {
        installation.set(key, value);
    }
    let made = installation.command().arg("topics").output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let config = KafkaConfig { development: true, ..KafkaConfig::new(broker.address.clone()) };
    let transport = Arc::new(KafkaTransport::new(config).unwrap());
    let scores = Scores::watch(&transport);
    let mut worker = Node::new(&installation, "worker", &["run", "ingest", "profile"]);
    worker.start(&installation);

    let began = Instant::now();
    let events = Events::new(transport.as_ref());
    let mut next = 0;
    while next < recovery.people {
        let count = APPEND_EVENTS.min(recovery.people - next);
        events.append(next..next + count, next);
        next += count;
    }
    wait_for("everybody's first score", &mut worker, || scores.seen.load(Ordering::Relaxed) >= recovery.people);
    let loaded = began.elapsed();
    eprintln!("{} people in state after {:.1} s", recovery.people, loaded.as_secs_f64());

    let load = Live::start(events, recovery);
    let mut chance = Seeded(recovery.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let (mut caught_up, mut first_score) = (Vec::new(), Vec::new());
    for number in 1..=recovery.kills {
        // Anywhere between two snapshots, the first of which may take a while.
        let wait_ms = recovery.snapshot_interval_ms + chance.between(0, recovery.snapshot_interval_ms.max(1));
        std::thread::sleep(Duration::from_millis(wait_ms));
        worker.kill();
        let (started, started_ms) = (Instant::now(), now_ms());
        worker.start(&installation);
        let newest = |read: fn(&mut dyn Iterator<Item = i64>) -> Option<i64>| {
            read(&mut scores.newest_ms.iter().map(|newest| newest.load(Ordering::Relaxed)))
        };
        wait_for("a score", &mut worker, || newest(|all| all.max()).is_some_and(|ms| ms >= started_ms));
        first_score.push(started.elapsed());
        wait_for("every partition", &mut worker, || newest(|all| all.min()).is_some_and(|ms| ms >= started_ms));
        caught_up.push(started.elapsed());
        eprintln!("kill {number}: caught up after {:.3} s", started.elapsed().as_secs_f64());
    }
    drop(load);
    let lives = worker.lives();
    let lives = format!(
        "{} starts, {} of them from snapshots; {} partitions taken, {} from a snapshot",
        lives.starts, lives.restored_starts, lives.tasks, lives.restored_tasks
    );
    Some(Measured { loaded, caught_up, first_score, lives })
}

fn wait_for(what: &str, worker: &mut Node, come: impl Fn() -> bool) {
    let started = Instant::now();
    while !come() {
        if let Some(why) = worker.ended() {
            panic!("the worker ended before {what}: {why}");
        }
        assert!(started.elapsed() < PATIENCE, "never came to {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Appends events as a collector does.
struct Events {
    appender: Box<dyn Appender>,
}

impl Events {
    fn new(transport: &dyn Transport) -> Self {
        Self { appender: transport.appender(vec![COLLECTED.to_owned()]).unwrap() }
    }

    /// A product view of each of these people; `number` makes their ids.
    fn append(&self, people: impl Iterator<Item = u64>, number: u64) {
        let received_at = now_ms();
        let mut records = Vec::new();
        for (index, person) in people.enumerate() {
            let device = format!("device-{person}");
            let mut key = Vec::new();
            input_key(SITE, InputIdentity { device: Some(&device), ..InputIdentity::default() }, &mut key);
            let payload = format!(
                r#"{{"id":"e{number}-{index}","type":"product_view","device":"{device}","page":{{"url":"https://shop.example/p/{person}"}},"product":{{"id":"p{}","price":"9.90","currency":"EUR"}}}}"#,
                person % 1_000
            );
            let collected = Collected {
                site: SITE,
                origin: "http",
                received_at,
                sent_at: None,
                data_set: None,
                file: None,
                line: None,
                user_agent: None,
                ip: None,
                global_privacy_control: false,
                payload: payload.as_bytes(),
            };
            let mut value = Vec::new();
            collected.encode_framed(Collected::ID, &mut value);
            records.push((partition_for(&key, PARTITIONS), key, value));
        }
        let appends: Vec<Append<'_>> = records
            .iter()
            .map(|(partition, key, value)| Append {
                topic: 0,
                partition: *partition,
                timestamp_ms: received_at,
                key,
                value,
            })
            .collect();
        loop {
            if self.appender.queued_bytes() < QUEUE_BYTES {
                match self.appender.append(&appends, Box::new(|result| result.unwrap())) {
                    Ok(()) => return,
                    Err(TransportError::QueueFull { .. }) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Load by people who are known already, until it is dropped.
struct Live {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Live {
    fn start(events: Events, recovery: &Recovery) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, Recovery { people, events_per_second, seed, .. }) = (Arc::clone(&stop), recovery.clone());
        let thread = std::thread::spawn(move || {
            let (mut chance, began, mut sent) = (Seeded(seed | 1), Instant::now(), 0);
            while !stopped.load(Ordering::Relaxed) {
                std::thread::sleep(BEAT);
                let due = began.elapsed().as_millis() as u64 * events_per_second / 1_000;
                let visitors: Vec<u64> = (sent..due).map(|_| chance.between(0, people)).collect();
                if !visitors.is_empty() {
                    events.append(visitors.into_iter(), people + sent);
                    sent = due;
                }
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

/// What is seen of committed scores from outside.
struct Scores {
    seen: Arc<AtomicU64>,
    /// The newest event that was scored, by partition: when it was received.
    newest_ms: Arc<Vec<AtomicI64>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Scores {
    fn watch(transport: &Arc<KafkaTransport>) -> Self {
        let mut scores = Self {
            seen: Arc::default(),
            newest_ms: Arc::new((0..PARTITIONS).map(|_| AtomicI64::new(0)).collect()),
            stop: Arc::default(),
            threads: Vec::new(),
        };
        for partition in 0..PARTITIONS {
            let mut reader = transport.reader(Propensity::TOPIC, partition, 0).unwrap();
            let (seen, newest_ms, stop) =
                (Arc::clone(&scores.seen), Arc::clone(&scores.newest_ms), Arc::clone(&scores.stop));
            scores.threads.push(std::thread::spawn(move || {
                let mut batch = Batch::new();
                while !stop.load(Ordering::Relaxed) {
                    reader.poll(Duration::from_millis(20), &mut batch).unwrap();
                    for record in batch.iter() {
                        newest_ms[partition as usize].fetch_max(record.timestamp_ms, Ordering::Relaxed);
                    }
                    seen.fetch_add(batch.iter().count() as u64, Ordering::Relaxed);
                }
            }));
        }
        scores
    }
}

impl Drop for Scores {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ended = thread.join();
        }
    }
}
