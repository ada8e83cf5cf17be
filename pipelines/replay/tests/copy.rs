//! Copies of a namespace's input on a log in memory: killed anywhere, gone on with, closed, opened again.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test fails by panicking")]

use millstream_replay::ReplayError;
use millstream_replay::closing::{ClosedBy, ClosingWatch, closed_by};
use millstream_replay::copy::{Copier, Stopped};
use millstream_replay::imports::unfinished;
use millstream_replay::reopen::take_in;
use millstream_replay::stragglers::Stragglers;
use millstream_schemas::closing::{Closing, NAMESPACE_CLOSED_KIND};
use millstream_schemas::{Collected, Control, ImportProgress, SchemaIds, Tick, frame};
use millstream_transports::memory::MemoryLog;
use millstream_transports::{Append, CommitOutcome, Retention, TopicSpec, Transport, Walk};
use proptest::prelude::*;

const PARTITIONS: u32 = 2;
const NEW: &str = "new.";
/// Nothing is.
const TOO_OLD: &dyn Fn(&Collected<'_>) -> bool = &|_| false;

struct World {
    log: MemoryLog,
    ids: SchemaIds,
    number: i64,
    time_ms: i64,
}

impl World {
    fn new() -> Self {
        let log = MemoryLog::new();
        for namespace in ["", NEW, "other."] {
            let spec = |(topic, partitions): (&str, u32)| TopicSpec {
                name: format!("{namespace}{topic}"),
                partitions,
                retention: Retention::Forever,
            };
            let topics =
                [(Collected::TOPIC, PARTITIONS), ("events", PARTITIONS), (Control::TOPIC, 1), ("imports", 1)].map(spec);
            log.ensure_topics(&topics).unwrap();
        }
        Self { log, ids: SchemaIds::identity(), number: 0, time_ms: 1_000 }
    }

    fn append(&mut self, namespace: &str, partition: u32, write: impl FnOnce(i64, &mut Vec<u8>)) {
        self.time_ms += 1;
        let mut value = Vec::new();
        write(self.time_ms, &mut value);
        let appender = self.log.appender(vec![format!("{namespace}{}", Collected::TOPIC)]).unwrap();
        let record = Append { topic: 0, partition, timestamp_ms: self.time_ms, key: b"device", value: &value };
        appender.append(&[record], Box::new(|result| result.unwrap())).unwrap();
    }

    fn event(&mut self, namespace: &str, partition: u32, payload: &str) {
        self.append(namespace, partition, |received_at, out| {
            let payload = payload.as_bytes();
            let collected = Collected { site: "shop", origin: "http", received_at, payload, ..Collected::default() };
            collected.encode_framed(Collected::ID, out);
        });
    }

    fn tick(&mut self, partition: u32) {
        self.append("", partition, |time, out| Tick { origin: "live", time }.encode_framed(Tick::ID, out));
    }

    /// A control record in every input, as the sequencer writes it.
    fn control(&mut self, kind: &str, body: &str) -> i64 {
        self.number += 1;
        let mut value = Vec::new();
        Control { number: self.number, kind, site: "", effective_at: 0, body }.encode_framed(Control::ID, &mut value);
        let topics = [Control::TOPIC, Collected::TOPIC, "events"].map(str::to_owned);
        let mut sequencer = self.log.transactions("control", topics.to_vec()).unwrap();
        for (topic, partitions) in [(0, 1), (1, PARTITIONS), (2, PARTITIONS)] {
            for partition in 0..partitions {
                let append = Append { topic, partition, timestamp_ms: self.time_ms, key: b"", value: &value };
                sequencer.send(append).unwrap();
            }
        }
        assert!(matches!(sequencer.commit(), CommitOutcome::Committed));
        self.number
    }

    fn close(&mut self, successor: Option<&str>) -> i64 {
        let body = Closing { successor: successor.map(str::to_owned) }.body();
        self.control(NAMESPACE_CLOSED_KIND, &body)
    }

    fn copier(&self) -> Copier<'_> {
        Copier::new(&self.log, &self.ids, "", NEW).unwrap()
    }

    fn refused(&self) -> ReplayError {
        Copier::new(&self.log, &self.ids, "", NEW).unwrap_err()
    }

    /// Copies all there is, or so many segments.
    fn copy(&self, segments: usize) -> Option<Stopped> {
        let mut copier = self.copier();
        for _ in 0..segments {
            match copier.copy_segment().unwrap() {
                Stopped::AtControl(number) => copier.copy_control(number).unwrap(),
                stopped => return Some(stopped),
            }
        }
        None
    }

    /// What a topic holds: times and, in words, records.
    fn said(&self, topic: &str) -> Vec<Vec<(i64, String)>> {
        let partitions = self.log.partition_count(topic).unwrap();
        let said = |partition| {
            let mut said = Vec::new();
            let mut walk = Walk::open(&self.log, topic, partition).unwrap();
            walk.each(u64::MAX, |record| {
                said.push((record.timestamp_ms, words(record.value)));
                true
            })
            .unwrap();
            said
        };
        (0..partitions).map(said).collect()
    }

    fn copied(&self) -> Vec<Vec<(i64, String)>> {
        self.said(&format!("{NEW}{}", Collected::TOPIC))
    }
}

fn words(value: &[u8]) -> String {
    let (id, body) = frame::split(value).unwrap();
    match id {
        Collected::ID => String::from_utf8_lossy(Collected::decode(body).unwrap().payload).into_owned(),
        Control::ID => format!("control {}", Control::decode(body).unwrap().number),
        Tick::ID => "tick".to_owned(),
        other => panic!("schema id {other}"),
    }
}

fn payloads(partition: &[(i64, String)]) -> Vec<&str> {
    partition.iter().map(|(_, words)| words.as_str()).collect()
}

#[test]
fn a_copy_is_the_same_records_and_goes_on_where_it_was() {
    let mut world = World::new();
    world.event("", 0, "a");
    world.control("site_config", "{}");
    world.event("", 1, "b");
    assert_eq!(world.copy(1), None, "stopped behind the control record");
    assert_eq!(world.copy(9), Some(Stopped::AtEnd));
    world.event("", 0, "c");
    world.tick(1);
    assert_eq!(world.copy(9), Some(Stopped::AtEnd));
    assert_eq!(world.copied(), world.said(Collected::TOPIC));
    let events = world.said(&format!("{NEW}events"));
    assert!(events.iter().all(|partition| payloads(partition) == ["control 1"]), "{events:?}");
}

#[test]
fn nothing_behind_the_hand_over_is_copied_but_stragglers_once() {
    let mut world = World::new();
    world.event("", 0, "before");
    let number = world.close(Some(NEW));
    world.event("", 0, "straggler");
    world.event("", 0, "straggler 2");
    world.tick(0);
    assert_eq!(world.copy(9), Some(Stopped::AtClosing));
    assert_eq!(payloads(&world.copied()[0]), ["before"]);
    let by = ClosedBy { number, successor: NEW.to_owned() };
    assert_eq!(closed_by(&world.log, &world.ids, "").unwrap(), Some(by));

    assert_eq!(world.copier().copy_stragglers(TOO_OLD).unwrap().appended, 2);
    // The other namespace is in use by now, and an old collector wakes up.
    world.event(NEW, 0, "its own");
    world.event("", 0, "straggler 3");
    assert_eq!(world.copy(9), Some(Stopped::AtClosing));
    assert_eq!(world.copier().copy_stragglers(TOO_OLD).unwrap().appended, 1);
    assert_eq!(world.copier().copy_stragglers(TOO_OLD).unwrap().appended, 0);
    assert_eq!(payloads(&world.copied()[0]), ["before", "straggler", "straggler 2", "its own", "straggler 3"]);
}

#[test]
fn what_a_closed_namespace_refused_is_not_copied_once_it_is_open_again() {
    let mut world = World::new();
    world.event("", 0, "before");
    world.close(Some("other."));
    world.event("", 0, "refused");
    world.tick(0);
    world.control("site_config", "{}");
    world.tick(0);
    assert!(matches!(world.refused(), ReplayError::HandedOver { .. }));
    world.close(None);
    world.event("", 0, "after");
    assert_eq!(closed_by(&world.log, &world.ids, "").unwrap(), None);
    assert_eq!(world.copy(9), Some(Stopped::AtEnd));
    assert_eq!(payloads(&world.copied()[0]), ["before", "control 2", "after"]);
}

#[test]
fn what_a_closed_namespace_refused_is_taken_in_once_when_it_is_open_again() {
    let mut world = World::new();
    world.event("", 0, "before");
    world.close(Some("other."));
    world.event("", 0, "refused");
    world.event("", 1, "ancient");
    world.tick(0);
    world.close(None);
    world.event("", 0, "after");
    let is_too_old = |event: &Collected<'_>| event.payload == b"ancient";
    for appended in [1, 0] {
        let taken = take_in(&world.log, &world.ids, "", &is_too_old).unwrap();
        assert_eq!(taken, Stragglers { appended, too_old: 1 });
    }
    assert_eq!(world.copy(9), Some(Stopped::AtEnd));
    assert_eq!(payloads(&world.copied()[0]), ["before", "after", "refused"]);
    assert!(world.copied()[1].is_empty());
}

#[test]
fn one_that_has_taken_over_is_known_for_it() {
    let mut world = World::new();
    world.event("", 0, "a");
    assert_eq!(world.copy(9), Some(Stopped::AtEnd));
    world.close(Some(NEW));
    assert_eq!(world.copy(9), Some(Stopped::AtClosing));
    assert!(!world.copier().is_succeeded());
    world.event(NEW, 1, "its own");
    assert!(world.copier().is_succeeded());
    assert!(world.copier().closing_offsets().is_none_or(|offsets| offsets.len() == PARTITIONS as usize));
}

#[test]
fn imports_are_copied_once_they_have_ended() {
    let world = World::new();
    let progress = |finished| {
        let mut value = Vec::new();
        let progress = ImportProgress { data_set: "history", finished, ..ImportProgress::default() };
        progress.encode_framed(ImportProgress::ID, &mut value);
        let appender = world.log.appender(vec!["imports".to_owned()]).unwrap();
        let record = Append { topic: 0, partition: 0, timestamp_ms: 1, key: b"history", value: &value };
        appender.append(&[record], Box::new(|result| result.unwrap())).unwrap();
    };
    progress(false);
    assert_eq!(unfinished(&world.log, &world.ids, "").unwrap(), ["history"]);
    assert!(matches!(world.copier().copy_imports(), Err(ReplayError::Importing { .. })));
    progress(true);
    for _ in 0..2 {
        world.copier().copy_imports().unwrap();
    }
    let mut copies = 0;
    Walk::open(&world.log, "new.imports", 0)
        .unwrap()
        .each(u64::MAX, |_| {
            copies += 1;
            true
        })
        .unwrap();
    assert_eq!(copies, 2);
}

#[test]
fn a_hand_over_in_the_middle_of_a_copy_is_noticed() {
    let mut world = World::new();
    world.event("", 0, "a");
    let log = world.log.clone();
    let ids = SchemaIds::identity();
    let mut copier = Copier::new(&log, &ids, "", NEW).unwrap();
    assert_eq!(copier.copy_segment().unwrap(), Stopped::AtEnd);
    world.event("", 1, "b");
    world.close(Some(NEW));
    world.event("", 1, "straggler");
    assert_eq!(copier.copy_segment().unwrap(), Stopped::AtClosing);
    let copied = world.copied();
    assert_eq!((payloads(&copied[0]), payloads(&copied[1])), (vec!["a"], vec!["b"]));
}

#[test]
fn a_namespace_of_its_own_is_not_copied_into() {
    let mut world = World::new();
    world.event("", 0, "a");
    world.event(NEW, 0, "its own");
    assert!(matches!(world.refused(), ReplayError::NotACopy { partition: 0, offset: 0, .. }));
}

#[test]
fn a_second_copier_fences_the_first() {
    let mut world = World::new();
    world.event("", 0, "a");
    let mut first = world.copier();
    assert_eq!(world.copy(9), Some(Stopped::AtEnd));
    assert!(first.copy_segment().is_err());
    assert_eq!(payloads(&world.copied()[0]), ["a"]);
}

#[test]
fn a_watch_follows_what_is_said() {
    let mut world = World::new();
    let mut watch = ClosingWatch::new(Control::TOPIC.to_owned(), SchemaIds::identity());
    assert_eq!(watch.look(&world.log).unwrap(), None);
    world.control("site_config", "{}");
    assert_eq!(watch.look(&world.log).unwrap(), None);
    world.close(Some(NEW));
    for _ in 0..2 {
        assert_eq!(watch.look(&world.log).unwrap(), Some(NEW));
    }
    world.close(None);
    assert_eq!(watch.look(&world.log).unwrap(), None);
}

/// What happens to the source, and to the copy.
#[derive(Debug, Clone)]
enum Step {
    Event(u32),
    Tick(u32),
    Control,
    /// It is handed over, or taken back.
    Close,
    Reopen,
    /// So many segments are copied, then the copier dies.
    Copy(usize),
    /// The copier dies before the control record that it stands at has come to the stages behind.
    CopyHalf,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..PARTITIONS).prop_map(Step::Event),
        1 => (0..PARTITIONS).prop_map(Step::Tick),
        2 => Just(Step::Control),
        1 => Just(Step::Close),
        1 => Just(Step::Reopen),
        2 => (1..4usize).prop_map(Step::Copy),
        1 => Just(Step::CopyHalf),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn killed_anywhere_a_copy_ends_as_what_its_source_has_accepted(steps in prop::collection::vec(step(), 0..40)) {
        let mut world = World::new();
        let mut accepted = vec![Vec::new(); PARTITIONS as usize];
        let mut controls = Vec::new();
        let mut is_closed = false;
        for (at, step) in steps.iter().chain([&Step::Reopen]).enumerate() {
            match step {
                Step::Event(partition) => {
                    let payload = format!("event {at}");
                    world.event("", *partition, &payload);
                    accepted[*partition as usize].extend((!is_closed).then_some(payload));
                }
                Step::Tick(partition) => {
                    world.tick(*partition);
                    accepted[*partition as usize].extend((!is_closed).then(|| "tick".to_owned()));
                }
                Step::Control => {
                    let control = format!("control {}", world.control("site_config", "{}"));
                    accepted.iter_mut().for_each(|partition| partition.push(control.clone()));
                    controls.push(control);
                }
                Step::Close => {
                    world.close(Some(NEW));
                    is_closed = true;
                }
                Step::Reopen => {
                    world.close(None);
                    is_closed = false;
                }
                Step::Copy(segments) => {
                    world.copy(*segments);
                }
                Step::CopyHalf => {
                    world.copier().copy_segment().unwrap();
                }
            }
        }
        prop_assert_eq!(world.copy(usize::MAX), Some(Stopped::AtEnd));
        for (partition, accepted) in world.copied().iter().zip(&accepted) {
            prop_assert_eq!(&payloads(partition), accepted);
        }
        // Every control record is in the input of the stages behind, once and in order.
        for partition in world.said(&format!("{NEW}events")) {
            prop_assert_eq!(&payloads(&partition), &controls);
        }
    }
}
