//! The process that is killed: both stages on the embedded log, with snapshots, under load.

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use millstream_ingest::{IngestConfig, IngestFactory, IngestTopics};
use millstream_profile::{ProfileConfig, ProfileFactory, ProfileTopics};
use millstream_runtime::{
    EpochLimits, SnapshotFolder, SnapshotSettings, StageFactory, StandbyKeeper, Standbys, SystemClock, Worker,
    WorkerConfig, WorkerStats,
};
use millstream_schemas::topics::TOPICS;
use millstream_scoring::Model;
use millstream_scoring::builtin::PROPENSITY;
use millstream_transports::embedded::{EmbeddedLog, EmbeddedOptions};
use millstream_transports::{Append, Appender, Retention, TopicSpec, Transport, TransportError};

use crate::scored::Scored;
use crate::traffic::{Collectable, Traffic};
use crate::{Options, status};

/// Events come in slices of so long.
const SLICE: Duration = Duration::from_millis(20);
/// Who has scored what came so long ago has caught up, milliseconds: 200 events at 2,000 a second.
const CAUGHT_UP_MS: i64 = 100;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(2);

fn spec(name: &str, partitions: u32) -> TopicSpec {
    TopicSpec { name: name.to_owned(), partitions, retention: Retention::Forever }
}

fn factories(partitions: u32) -> Vec<Arc<dyn StageFactory>> {
    let ingest = IngestConfig::new(IngestTopics {
        collected: spec("events.collected", partitions),
        events: spec("events", partitions),
        rejected: spec("events.rejected", partitions),
        identity: spec("identity", partitions),
        ledger: spec("ledger", partitions),
    });
    let mut profile = ProfileConfig::new(ProfileTopics::of(|name| spec(name, partitions)));
    profile.scorer = Arc::new(Model::load(PROPENSITY).expect("the shipped artefact is well-formed"));
    vec![Arc::new(IngestFactory::new(ingest)), Arc::new(ProfileFactory::new(profile))]
}

/// The workers of both stages.
struct Workers {
    stats: Vec<Arc<WorkerStats>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    fn start(log: &EmbeddedLog, options: &Options, folder: &Path, standbys: &[Arc<Standbys>]) -> Self {
        let transport: Arc<dyn Transport> = Arc::new(log.clone());
        let stop = Arc::new(AtomicBool::new(false));
        let (mut stats, mut threads) = (Vec::new(), Vec::new());
        for (stage, factory) in factories(options.partitions).into_iter().enumerate() {
            for index in 0..options.workers {
                let store = Arc::new(SnapshotFolder::new(folder.join("snapshots")));
                let config = WorkerConfig {
                    namespace: String::new(),
                    instance_id: format!("bench-{index}"),
                    limits: EpochLimits::default(),
                    tick_after_ms: None,
                    max_poisoned: 0,
                    standbys: standbys.get(stage).cloned(),
                    snapshots: Some(SnapshotSettings {
                        interval_ms: options.interval_ms,
                        at_close: false,
                        ..SnapshotSettings::new(store)
                    }),
                };
                let worker = Worker::new(transport.clone(), Arc::clone(&factory), Arc::new(SystemClock::new()), config);
                let mut worker = worker.expect("the log takes members");
                stats.push(worker.stats());
                let stop = Arc::clone(&stop);
                threads.push(std::thread::spawn(move || {
                    while !stop.load(Ordering::Acquire) {
                        worker.step().expect("the log works");
                    }
                    // Dropped without a word, as if its process had died.
                }));
            }
        }
        Self { stats, stop, threads }
    }

    /// When every task had its state; `None` in the first life, which restores nothing.
    fn restored(&self, partitions: u32) -> Option<Instant> {
        let sum = |read: fn(&WorkerStats) -> u64| -> u64 { self.stats.iter().map(|stats| read(stats)).sum() };
        // Two stages.
        while sum(|stats| stats.owned.load(Ordering::Acquire)) < 2 * u64::from(partitions) {
            std::thread::sleep(LOOK);
        }
        (sum(|stats| stats.restored.load(Ordering::Relaxed)) > 0).then(Instant::now)
    }

    fn drop_silently(self) {
        self.stop.store(true, Ordering::Release);
        self.threads.into_iter().for_each(|thread| thread.join().expect("workers do not panic"));
    }
}

fn append(appender: &dyn Appender, events: &[Collectable]) {
    for chunk in events.chunks(1_000) {
        let records: Vec<Append<'_>> = chunk
            .iter()
            .map(|event| Append {
                topic: 0,
                partition: event.partition,
                timestamp_ms: event.timestamp_ms,
                key: &event.key,
                value: &event.value,
            })
            .collect();
        loop {
            match appender.append(&records, Box::new(|result| result.expect("the log works"))) {
                Ok(()) => break,
                Err(TransportError::QueueFull { .. }) => std::thread::sleep(LOOK),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// Appends events at the rate, from `number` on, until the process dies. Returns when the newest of them was received.
///
/// `noted` keeps where the next life goes on: event time goes on as time does, without a leap that would close everybody's session at once.
fn load(log: &EmbeddedLog, options: &Options, mut traffic: Traffic, mut number: u64, noted: PathBuf) -> Arc<AtomicI64> {
    let newest_ms = Arc::new(AtomicI64::new(0));
    let told = Arc::clone(&newest_ms);
    let appender = log.appender(vec!["events.collected".to_owned()]).expect("the topic exists");
    let per_slice = options.rate * u64::try_from(SLICE.as_millis()).unwrap_or(1) / 1_000;
    std::thread::spawn(move || {
        let mut next = Instant::now();
        loop {
            let events: Vec<Collectable> = (0..per_slice).map(|_| traffic.next_event()).collect();
            number += per_slice;
            // Before they are there: no id comes twice.
            std::fs::write(&noted, number.to_string()).expect("the folder can be written");
            append(appender.as_ref(), &events);
            told.store(events.last().map_or(0, |event| event.timestamp_ms), Ordering::Release);
            next += SLICE;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    });
    newest_ms
}

/// Waits until, in every partition, what was appended [`CAUGHT_UP_MS`] ago is scored and committed: a task processes its input in
/// order, so all that came before is, too.
fn catch_up(newest_ms: &AtomicI64, scored: &Scored) {
    // Nothing appended yet is nothing to be up with.
    while newest_ms.load(Ordering::Acquire) == 0
        || scored.oldest_ms() < newest_ms.load(Ordering::Acquire) - CAUGHT_UP_MS
    {
        std::thread::sleep(LOOK);
    }
}

pub fn run(options: &Options) {
    let began = Instant::now();
    let folder = options.folder.clone().expect("the parent names it");
    let log = EmbeddedLog::open(folder.join("log"), EmbeddedOptions::default()).expect("the log opens");
    let topics: Vec<TopicSpec> = TOPICS.iter().map(|topic| spec(topic.name, options.partitions)).collect();
    log.ensure_topics(&topics).expect("the log works");
    let standbys: Vec<Arc<Standbys>> = if options.standby { vec![Arc::default(), Arc::default()] } else { Vec::new() };
    let opened = began.elapsed();
    let mut workers = Workers::start(&log, options, &folder, &[]);
    let noted = folder.join("next-event");
    let next_event = std::fs::read_to_string(&noted).ok().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
    if next_event == 0 {
        let mut traffic = Traffic::new(1, options.people, options.partitions);
        let appender = log.appender(vec!["events.collected".to_owned()]).expect("the topic exists");
        let mut left = options.people;
        while left > 0 {
            let events: Vec<Collectable> = (0..left.min(10_000)).map(|_| traffic.next_event()).collect();
            left -= events.len() as u64;
            append(appender.as_ref(), &events);
        }
    }
    let scored = Scored::watch(&log, &folder.join("scored"), options.partitions);
    let number = next_event.max(options.people);
    let newest_ms =
        load(&log, options, Traffic::resumed(number, options.people, options.partitions, number), number, noted);
    let restored = workers.restored(options.partitions).map(|at| at.duration_since(began).as_secs_f64());
    catch_up(&newest_ms, &scored);
    let mut said = status::of("caught up", &workers.stats);
    said["opened_after_seconds"] = opened.as_secs_f64().into();
    said["restored_after_seconds"] = restored.into();
    println!("{said}");
    keep_standbys(&log, options, &folder, &standbys);
    let mut lines = std::io::stdin().lock().lines();
    // The parent asks for a status, or for a take-over; it ends by killing.
    while let Some(Ok(line)) = lines.next() {
        if line == "take over" {
            while standbys.iter().any(|kept| kept.warm.load(Ordering::Relaxed) < u64::from(options.partitions)) {
                std::thread::sleep(LOOK);
            }
            workers.drop_silently();
            let began = Instant::now();
            workers = Workers::start(&log, options, &folder, &standbys);
            // What was scored so far are the others' scores.
            let asked_ms = newest_ms.load(Ordering::Acquire);
            while scored.oldest_ms() <= asked_ms {
                std::thread::sleep(LOOK);
            }
            catch_up(&newest_ms, &scored);
            let mut said = status::of("taken over", &workers.stats);
            said["seconds"] = began.elapsed().as_secs_f64().into();
            println!("{said}");
        } else {
            println!("{}", status::of("status", &workers.stats));
        }
    }
}

/// Keeps standbys of everything. The first workers know nothing of them, as if they were another process.
fn keep_standbys(log: &EmbeddedLog, options: &Options, folder: &Path, standbys: &[Arc<Standbys>]) {
    for (factory, standbys) in factories(options.partitions).into_iter().zip(standbys) {
        let store = Arc::new(SnapshotFolder::new(folder.join("snapshots")));
        let keeper = StandbyKeeper::new(Arc::new(log.clone()), factory, store, String::new(), Arc::clone(standbys));
        std::thread::spawn(move || keeper.run(&AtomicBool::new(false)));
    }
}
