//! Topics against ledgers.

use std::sync::Mutex;

use millstream_transports::{
    Appender, Committed, Member, MemberConfig, Reader, Result, TopicSpec, Transactions, Transport,
};
use millstream_verify::{Kind, Report, Stand, TopicLine};

use crate::tampered::{Meddling, Tampered};
use crate::world::{World, told, verify_on};

type Meddle = fn(u64) -> Meddling;

fn line<'a>(report: &'a Report, topic: &str, partition: u32) -> &'a TopicLine {
    report.topics.iter().find(|line| line.topic == topic && line.partition == partition).unwrap()
}

fn of(report: &Report, topic: &str) -> Vec<(Kind, String)> {
    let about = |found: &&millstream_verify::Difference| {
        found.place.topic == topic && found.place.table.is_none() && found.place.stage.is_none()
    };
    report.differences.iter().filter(about).map(|found| (found.kind, found.to_string())).collect()
}

#[test]
fn what_is_gone_doubled_or_changed_is_found_and_where() {
    let world = World::new();
    let mut tables = world.deliver();
    // One partition with one writer, and one with several.
    for topic in ["sessions", "events"] {
        let records = world.read(topic, 0);
        let offset = records[records.len() / 2].0;
        let cases: [(Meddle, Kind); 3] =
            [(Meddling::Without, Kind::Missing), (Meddling::Twice, Kind::Extra), (Meddling::Changed, Kind::Changed)];
        for (meddling, kind) in cases {
            let meddling = meddling(offset);
            let tampered = Tampered { log: world.transport.as_ref(), topic, partition: 0, meddling };
            let report = verify_on(&tampered, &mut tables);
            let found = of(&report, topic);
            assert_eq!(found.len(), 1, "{topic} {kind:?}: {:?}", told(&report));
            assert_eq!(found[0].0, kind);
            assert_eq!(line(&report, topic, 0).stand, Stand::Different);
            if topic == "sessions" {
                // The transaction is named, and with it at most so many records.
                assert!(found[0].1.contains("the first that differ are from offset"), "{}", found[0].1);
            }
        }
    }
}

#[test]
fn what_no_stage_wrote_is_found_and_what_others_may_write_is_not() {
    let world = World::new();
    let mut tables = world.deliver();
    let control =
        millstream_schemas::Control { number: 1, kind: "site_config", site: "shop", effective_at: 0, body: "{}" };
    let letter = millstream_schemas::Rejected { stage: "import", ..Default::default() };
    let mut bytes = [Vec::new(), Vec::new()];
    control.encode_framed(millstream_schemas::Control::ID, &mut bytes[0]);
    letter.encode_framed(millstream_schemas::Rejected::ID, &mut bytes[1]);
    world.append("events", 1, 0, &bytes[0]);
    world.append("events.rejected", 1, 0, &bytes[1]);
    let report = world.verify(&mut tables);
    assert_eq!(of(&report, "events"), []);
    assert_eq!((line(&report, "events", 1).others, line(&report, "events.rejected", 1).others), (1, 1));

    world.append("sessions", 1, 0, b"\0nobody");
    let report = world.verify(&mut tables);
    let [(Kind::Extra, what)] = &of(&report, "sessions")[..] else { panic!("{:?}", told(&report)) };
    assert!(what.contains("no transaction wrote 1 of them"), "{what}");
}

#[test]
fn what_retention_has_left_is_compared() {
    let world = World::new();
    let mut tables = world.deliver();
    let records = world.read("sessions", 1);
    // Retention takes more than one record.
    for record in records.iter().skip(2) {
        let meddling = Meddling::CutBefore(record.0);
        let tampered = Tampered { log: world.transport.as_ref(), topic: "sessions", partition: 1, meddling };
        let report = verify_on(&tampered, &mut tables);
        assert!(matches!(&line(&report, "sessions", 1).stand, Stand::EqualInPart(_)), "{:?}", told(&report));
        assert!(report.is_equal());
    }
    let meddling = Meddling::CutBefore(world.read("events", 0)[3].0);
    let report =
        verify_on(&Tampered { log: world.transport.as_ref(), topic: "events", partition: 0, meddling }, &mut tables);
    assert!(matches!(&line(&report, "events", 0).stand, Stand::NotCompared(_)));
    // The ledger's own beginning can be gone, too.
    let notes = world.read("ledger", 1);
    let meddling = Meddling::CutBefore(notes[notes.len() / 2].0);
    let report =
        verify_on(&Tampered { log: world.transport.as_ref(), topic: "ledger", partition: 1, meddling }, &mut tables);
    let task = report.tasks.iter().find(|task| task.stage == "profile" && task.partition == 1).unwrap();
    assert!(matches!(task.stand, Stand::EqualInPart(_)), "{task:?}");
}

/// Lets the stages work on while a topic is opened for reading.
struct InUse {
    world: Mutex<World>,
    while_reading: &'static str,
}

impl InUse {
    fn log(&self) -> std::sync::Arc<dyn Transport> {
        self.world.lock().unwrap().transport.clone()
    }
}

impl Transport for InUse {
    fn ensure_topics(&self, topics: &[TopicSpec]) -> Result<()> {
        self.log().ensure_topics(topics)
    }

    fn partition_count(&self, topic: &str) -> Result<u32> {
        self.log().partition_count(topic)
    }

    fn member(&self, config: MemberConfig) -> Result<Box<dyn Member>> {
        self.log().member(config)
    }

    fn appender(&self, topics: Vec<String>) -> Result<Box<dyn Appender>> {
        self.log().appender(topics)
    }

    fn transactions(&self, id: &str, topics: Vec<String>) -> Result<Box<dyn Transactions>> {
        self.log().transactions(id, topics)
    }

    fn reader(&self, topic: &str, partition: u32, offset: u64) -> Result<Box<dyn Reader>> {
        if topic == self.while_reading {
            let mut world = self.world.lock().unwrap();
            world.feed();
            world.drain();
        }
        self.log().reader(topic, partition, offset)
    }

    fn committed(&self, group: &str, topic: &str, partition: u32) -> Result<Option<Committed>> {
        self.log().committed(group, topic, partition)
    }
}

#[test]
fn a_log_in_use_shows_no_difference() {
    for while_reading in ["sessions", "events", "events.rejected"] {
        let world = World::new();
        let mut tables = world.deliver();
        let in_use = InUse { world: Mutex::new(world), while_reading };
        let report = verify_on(&in_use, &mut tables);
        assert_eq!(told(&report), [], "while reading {while_reading}");
        assert!(report.tables.iter().any(|table| table.lag > 0));
    }
}
