//! What an import leaves in the log, however it is cut into transactions, whatever goes wrong and wherever it is killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use millstream_import::{ImportError, ImportOptions, Mapping, Prepared, Summary, import, prepare, run, saved_progress};
use millstream_schemas::{Collected, Rejected, Tick, frame};
use millstream_transports::embedded::{EmbeddedLog, EmbeddedOptions};
use millstream_transports::memory::MemoryLog;
use millstream_transports::{
    Append, Appender, Batch, CommitOutcome, Committed, Fault, Member, MemberConfig, Reader, Result, Retention,
    TopicSpec, Transactions, Transport, TransportError, partition_for,
};
use proptest::prelude::*;

const PARTITIONS: u32 = 3;
const MAPPING: &str = r#"data_set = "d"
site = "s"
[time]
column = "t"
format = "epoch_ms"
[[rule]]
when = [{ column = "u", equals = "bad" }]
reject = "bad user"
[[rule]]
when = [{ column = "o", empty = true }]
event = "view"
[[rule]]
event = "order"
[event.view]
type = "page_view"
user = "{u}"
[event.order]
type = "purchase"
group_by = "{o}"
user = "{u}"
order.id = "{o}"
order.currency = "EUR"
lines.product_id = "{t}"
lines.quantity = 1
lines.price = "{p}"
"#;

fn topics(log: &dyn Transport) {
    let spec = |name: &str, partitions, retention| TopicSpec { name: name.to_owned(), partitions, retention };
    log.ensure_topics(&[
        spec("events.collected", PARTITIONS, Retention::Forever),
        spec("events.rejected", 2, Retention::Forever),
        spec("imports", 1, Retention::Compact),
    ])
    .unwrap();
}

/// Views, orders of several rows that stand apart, and bad rows, out of time order.
fn rows(seed: u64, count: u64) -> String {
    let mut text = String::from("t,u,o,p\n");
    for n in 0..count {
        let mixed = (n + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .wrapping_add(seed)
            .rotate_left(29)
            .wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let time = 1_000_000 + mixed % 5_000;
        let (user, order) = match mixed >> 60 {
            0 => ("bad".to_owned(), String::new()),
            1..=6 => (format!("u{}", mixed % 7), format!("o{}", mixed % 7)),
            _ => (format!("u{}", mixed % 11), String::new()),
        };
        text.push_str(&format!("{time},{user},{order},{}.{}\n", mixed % 90, mixed % 1000));
    }
    text
}

fn prepared(content: &str) -> Prepared {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.csv");
    std::fs::write(&path, content).unwrap();
    let mapping = Mapping::parse("m.toml", MAPPING).unwrap();
    prepare(&mapping, &[path], None, &options(7), &mut |_| {}).unwrap()
}

fn options(chunk_events: usize) -> ImportOptions {
    ImportOptions { chunk_events, now_ms: Arc::new(|| 5), ..ImportOptions::default() }
}

/// Timestamp, key and value.
type Record = (i64, Vec<u8>, Vec<u8>);

/// All records of a topic, by partition.
fn records(log: &dyn Transport, topic: &str) -> Vec<Vec<Record>> {
    let mut all = Vec::new();
    for partition in 0..log.partition_count(topic).unwrap() {
        let mut reader = log.reader(topic, partition, 0).unwrap();
        let (mut batch, mut found) = (Batch::new(), Vec::new());
        while !reader.at_end().unwrap() {
            reader.poll(Duration::from_millis(10), &mut batch).unwrap();
            found.extend(batch.iter().map(|record| (record.timestamp_ms, record.key.to_vec(), record.value.to_vec())));
        }
        all.push(found);
    }
    all
}

/// The events of each partition, after checking what holds for every import: ticks never lie, and come first and last.
fn events(log: &dyn Transport, prepared: &Prepared) -> Vec<Vec<Record>> {
    let span = prepared.events.first().unwrap().time_ms..=prepared.events.last().unwrap().time_ms;
    let mut all = Vec::new();
    for (number, partition) in records(log, "events.collected").into_iter().enumerate() {
        let mut ticked = None;
        let mut events = Vec::new();
        for (timestamp_ms, key, value) in partition {
            let (schema, body) = frame::split(&value).unwrap();
            if schema == Tick::ID {
                let tick = Tick::decode(body).unwrap();
                assert_eq!((tick.origin, tick.time), ("import", timestamp_ms));
                assert!(ticked.is_some_and(|before| before <= tick.time) || tick.time == span.start() - 1);
                ticked = Some(tick.time);
                continue;
            }
            let event = Collected::decode(body).unwrap();
            assert_eq!((schema, event.origin, event.site, event.data_set), (Collected::ID, "import", "s", Some("d")));
            assert_eq!(event.received_at, timestamp_ms);
            assert_eq!(partition_for(&key, PARTITIONS) as usize, number);
            assert!(ticked.is_some_and(|tick| tick <= timestamp_ms), "an event before its tick");
            events.push((timestamp_ms, key, value));
        }
        assert_eq!(ticked, Some(*span.end()));
        all.push(events);
    }
    all
}

/// What must be in the log, from what was prepared.
fn check(log: &dyn Transport, prepared: &Prepared) {
    let mut expected: BTreeMap<u32, Vec<&[u8]>> = (0..PARTITIONS).map(|partition| (partition, Vec::new())).collect();
    for event in &prepared.events {
        expected.get_mut(&partition_for(&event.key, PARTITIONS)).unwrap().push(&event.payload);
    }
    let found = events(log, prepared);
    for (partition, events) in found.iter().enumerate() {
        let payloads: Vec<&[u8]> = events
            .iter()
            .map(|(_, _, value)| Collected::decode(frame::split(value).unwrap().1).unwrap().payload)
            .collect();
        assert_eq!(payloads, expected[&(partition as u32)], "partition {partition}");
    }
    let mut lines: Vec<(i64, String)> = Vec::new();
    for (_, _, value) in records(log, "events.rejected").concat() {
        let row = Rejected::decode(frame::split(&value).unwrap().1).unwrap();
        assert_eq!(
            (row.stage, row.file, row.reason, row.detail),
            ("import", Some("d.csv"), "mapping_rule", "bad user")
        );
        assert_eq!(row.rejection_id, format!("d:d.csv:{}", row.line.unwrap()));
        lines.push((row.line.unwrap(), String::from_utf8(row.payload.to_vec()).unwrap()));
    }
    lines.sort();
    let wanted: Vec<(i64, String)> =
        prepared.rejected.iter().map(|row| (row.line as i64, String::from_utf8(row.raw.to_vec()).unwrap())).collect();
    assert_eq!(lines, wanted);
    let saved = saved_progress(log, "d", &options(1)).unwrap().unwrap();
    assert_eq!(
        (saved.finished, saved.events_done, saved.rejected_done),
        (true, prepared.events.len() as u64, wanted.len() as u64)
    );
}

fn go(log: &dyn Transport, prepared: &Prepared, chunk_events: usize) -> std::result::Result<Summary, ImportError> {
    run(log, prepared, &options(chunk_events), &mut |_| {})
}

/// A log whose process is killed at one of its transactional operations, before or after the log has done it.
struct Killed<'l> {
    log: &'l dyn Transport,
    left: Arc<AtomicI64>,
    done_first: bool,
    /// What happens at that moment instead of dying.
    instead: Option<Box<dyn Fn() + Send + Sync + 'l>>,
}

struct KilledTransactions {
    inner: Box<dyn Transactions>,
    left: Arc<AtomicI64>,
    done_first: bool,
}

const KILLED: &str = "killed";

impl KilledTransactions {
    fn dies(&self) -> bool {
        self.left.fetch_sub(1, Ordering::SeqCst) <= 0
    }
}

impl Transactions for KilledTransactions {
    fn send(&mut self, append: Append<'_>) -> Result<()> {
        if self.dies() {
            if self.done_first {
                self.inner.send(append)?;
            }
            return Err(TransportError::Other(KILLED.to_owned()));
        }
        self.inner.send(append)
    }

    fn commit(&mut self) -> CommitOutcome {
        if self.dies() {
            if self.done_first {
                self.inner.commit();
            }
            // The killed process learns nothing; a real one would not even get here.
            return CommitOutcome::Fenced(KILLED.to_owned());
        }
        self.inner.commit()
    }

    fn abort(&mut self) -> Result<()> {
        // A killed process does not abort.
        Ok(())
    }
}

impl Transport for Killed<'_> {
    fn ensure_topics(&self, topics: &[TopicSpec]) -> Result<()> {
        self.log.ensure_topics(topics)
    }
    fn partition_count(&self, topic: &str) -> Result<u32> {
        self.log.partition_count(topic)
    }
    fn member(&self, config: MemberConfig) -> Result<Box<dyn Member>> {
        self.log.member(config)
    }
    fn appender(&self, topics: Vec<String>) -> Result<Box<dyn Appender>> {
        self.log.appender(topics)
    }
    fn transactions(&self, id: &str, topics: Vec<String>) -> Result<Box<dyn Transactions>> {
        let inner = self.log.transactions(id, topics)?;
        if let Some(instead) = &self.instead {
            instead();
            return Ok(inner);
        }
        Ok(Box::new(KilledTransactions { inner, left: Arc::clone(&self.left), done_first: self.done_first }))
    }
    fn reader(&self, topic: &str, partition: u32, offset: u64) -> Result<Box<dyn Reader>> {
        self.log.reader(topic, partition, offset)
    }
    fn committed(&self, group: &str, topic: &str, partition: u32) -> Result<Option<Committed>> {
        self.log.committed(group, topic, partition)
    }
}

fn killed_at(log: &dyn Transport, prepared: &Prepared, chunk: usize, operation: i64, done_first: bool) -> bool {
    let killed = Killed { log, left: Arc::new(AtomicI64::new(operation)), done_first, instead: None };
    match go(&killed, prepared, chunk) {
        Ok(_) => false,
        Err(error) => {
            assert!(error.to_string().contains(KILLED), "{error}");
            true
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_same_records_whatever_the_chunks(seed: u64, count in 1u64..120, chunk in 1usize..50) {
        let prepared = prepared(&rows(seed, count));
        prop_assume!(!prepared.events.is_empty());
        let (whole, cut) = (MemoryLog::new(), MemoryLog::new());
        for (log, chunk) in [(&whole, usize::MAX), (&cut, chunk)] {
            topics(log);
            go(log, &prepared, chunk).unwrap();
            check(log, &prepared);
        }
        prop_assert_eq!(events(&whole, &prepared), events(&cut, &prepared));
        prop_assert_eq!(records(&whole, "events.rejected"), records(&cut, "events.rejected"));
    }

    #[test]
    fn killed_anywhere_any_number_of_times_nothing_is_lost_and_nothing_twice(
        seed: u64, count in 1u64..100, kills in proptest::collection::vec((1usize..30, 0i64..150, any::<bool>(), any::<bool>()), 1..5),
    ) {
        let prepared = prepared(&rows(seed, count));
        prop_assume!(!prepared.events.is_empty());
        let mut log = MemoryLog::new();
        topics(&log);
        for (chunk, operation, done_first, crash) in kills {
            killed_at(&log, &prepared, chunk, operation, done_first);
            if crash {
                log = log.crash();
            }
        }
        go(&log, &prepared, 9).unwrap();
        check(&log, &prepared);
    }

    #[test]
    fn unknown_and_aborted_commits_are_settled(seed: u64, count in 1u64..100, chunk in 1usize..20) {
        let prepared = prepared(&rows(seed, count));
        prop_assume!(!prepared.events.is_empty());
        let log = MemoryLog::new();
        topics(&log);
        let often = 150_000;
        log.faults().plan(
            seed, &[(Fault::CommitUnknownApplied, often), (Fault::CommitUnknownDropped, often), (Fault::CommitAborted, often)],
        );
        // Five failures in a row end a run; then somebody starts it again.
        let mut runs = 0;
        while let Err(error) = go(&log, &prepared, chunk) {
            runs += 1;
            prop_assert!(matches!(error, ImportError::NotCommitting { .. }) && runs < 50, "{}", error);
        }
        log.faults().clear();
        check(&log, &prepared);
    }
}

/// Every single operation of one import, before and after it takes effect.
#[test]
fn killed_at_every_operation() {
    let prepared = prepared(&rows(3, 25));
    for done_first in [false, true] {
        let mut operation = 0;
        loop {
            let log = MemoryLog::new();
            topics(&log);
            let died = killed_at(&log, &prepared, 4, operation, done_first);
            let summary = go(&log, &prepared, 5).unwrap();
            check(&log, &prepared);
            if !died {
                assert!(summary.already_imported);
                break;
            }
            operation += 1;
        }
        assert!(operation > 40, "only {operation} operations were cut");
    }
}

#[test]
fn killed_and_resumed_on_disk() {
    let prepared = prepared(&rows(5, 80));
    let folder = tempfile::tempdir().unwrap();
    for operation in [5, 25, 25] {
        let log = EmbeddedLog::open(folder.path(), EmbeddedOptions::default()).unwrap();
        topics(&log);
        killed_at(&log, &prepared, 6, operation, true);
    }
    let log = EmbeddedLog::open(folder.path(), EmbeddedOptions::default()).unwrap();
    let summary = go(&log, &prepared, 6).unwrap();
    assert!(summary.resumed_at_event > 0 && !summary.already_imported);
    check(&log, &prepared);
}

#[test]
fn a_second_runner_fences_the_first() {
    let prepared = prepared(&rows(8, 60));
    let log = MemoryLog::new();
    topics(&log);
    let second = || {
        go(&log, &prepared, 10).unwrap();
    };
    let first =
        Killed { log: &log, left: Arc::new(AtomicI64::new(0)), done_first: false, instead: Some(Box::new(second)) };
    // The second runs to its end between the first one's opening and its look at the log: the first finds nothing left to do.
    assert!(go(&first, &prepared, 10).unwrap().already_imported);
    check(&log, &prepared);

    // Opened later, it takes over in the middle.
    let log = MemoryLog::new();
    topics(&log);
    log.faults().inject(Fault::CommitFenced);
    assert!(matches!(go(&log, &prepared, 10), Err(ImportError::Fenced { .. })));
    go(&log, &prepared, 10).unwrap();
    check(&log, &prepared);
}

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn import(&self, log: &dyn Transport, mapping: &str, content: &str) -> std::result::Result<Summary, String> {
        let path: PathBuf = self.folder.path().join("d.csv");
        std::fs::write(&path, content).unwrap();
        let mapping = Mapping::parse("m.toml", mapping).unwrap();
        import(log, &mapping, &[path], None, &options(3), &mut |_| {}).map_err(|error| error.to_string())
    }
}

#[test]
fn done_twice_is_done_once_and_another_import_of_that_name_is_refused() {
    let files = Files { folder: tempfile::tempdir().unwrap() };
    let log = MemoryLog::new();
    topics(&log);
    let content = rows(1, 30);
    let first = files.import(&log, MAPPING, &content).unwrap();
    assert!(!first.already_imported && first.rows == 30);
    let before = records(&log, "events.collected");
    let again = files.import(&log, MAPPING, &content).unwrap();
    assert!(again.already_imported);
    assert_eq!((again.events, again.rejected, again.fingerprint), (first.events, first.rejected, first.fingerprint));
    let told = files.import(&log, MAPPING, &rows(2, 30)).unwrap_err();
    assert!(told.contains("data set d was begun with another mapping or other files"), "{told}");
    let told = files.import(&log, &MAPPING.replace("bad user", "worse user"), &content).unwrap_err();
    assert!(told.contains("data set d was begun with another mapping or other files"), "{told}");
    assert_eq!(records(&log, "events.collected"), before);
}

#[test]
fn nothing_is_written_where_the_mapping_does_not_fit() {
    let files = Files { folder: tempfile::tempdir().unwrap() };
    let log = MemoryLog::new();
    topics(&log);
    let told = files.import(&log, MAPPING, "t,u,o,q\n1,a,,\n").unwrap_err();
    assert_eq!(told, "m.toml:25:15: d.csv has no column `p`; its columns are: t, u, o, q");
    for topic in ["events.collected", "events.rejected", "imports"] {
        assert!(records(&log, topic).concat().is_empty());
    }
}

#[test]
fn files_without_events_are_finished_imports() {
    let files = Files { folder: tempfile::tempdir().unwrap() };
    let log = MemoryLog::new();
    topics(&log);
    assert_eq!(files.import(&log, MAPPING, "t,u,o,p\n").unwrap().events, 0);
    assert!(records(&log, "events.collected").concat().is_empty());
    assert!(files.import(&log, MAPPING, "t,u,o,p\n").unwrap().already_imported);
}
