//! What each kind of record does, and what becomes of bad ones.

use millstream_runtime::{Diversion, Outputs, Stage};
use millstream_schemas::{Control, Event, HandOver, Id, SchemaIds, Session, Watermark, frame};

use super::world::{Input, SITE, World, factory, framed, record};
use crate::{ProfileConfig, ProfileTopics};
use millstream_transports::{Retention, TopicSpec};

const PERSON: Id = Id(77);

fn event(id: &str, time_ms: i64) -> Event<'_> {
    Event {
        site: SITE,
        event_id: id,
        event_type: "page_view",
        event_time: time_ms,
        consent: 15,
        source: Some(Id(5)),
        person: Some(PERSON),
        channel: "direct",
        ..Event::default()
    }
}

fn sessions(world: &World) -> usize {
    world.view().keys().filter(|(topic, _)| *topic == 0).count()
}

#[test]
fn bad_records_are_dead_letters_with_their_bytes_and_stop_nothing() {
    let mut world = World::new(1);
    let mut cut = framed(&event("a", 0));
    cut.truncate(cut.len() - 3);
    let bad = [
        b"".to_vec(),
        b"\0\0\0".to_vec(),
        b"{\"not\":\"avro\"}".to_vec(),
        cut.clone(),
        framed(&Session { site: SITE, ..Session::default() }),
        b"\0\0\0\x27\x0fbody".to_vec(),
        framed(&Watermark { upstream: 9, upstreams: 3, time: 5 }),
        framed(&Control {
            number: 1,
            kind: "site_config",
            site: SITE,
            effective_at: 0,
            body: "{\"session_gap_ms\":-1}",
        }),
        framed(&Control { number: 2, kind: "site_config", site: SITE, effective_at: 0, body: "[" }),
        framed(&HandOver {
            site: SITE,
            source: Id(5),
            to_person: PERSON,
            state_version: 9,
            state: b"x",
            ..HandOver::default()
        }),
        framed(&HandOver {
            site: SITE,
            source: Id(5),
            to_person: PERSON,
            state_version: 1,
            state: b"xyz",
            ..HandOver::default()
        }),
    ];
    for value in &bad {
        world.append(0, &[], value.clone());
    }
    world.event(&event("a", 0));
    world.drain();
    let reasons: Vec<String> = world.rejected();
    let expected = [
        "corrupt_frame",
        "corrupt_frame",
        "corrupt_frame",
        "corrupt_frame",
        "unexpected_record",
        "unknown_schema",
        "unknown_upstream",
        "out_of_range",
        "wrong_type",
        "corrupt_state",
        "corrupt_state",
    ];
    assert_eq!(reasons.len(), bad.len());
    for ((row, reason), (input, value)) in reasons.iter().zip(expected).zip(world.log[0].iter().zip(&bad)) {
        assert_eq!(*row, format!("events:0:{}:{reason}:{}", input.offset, value.len()));
    }
    assert_eq!(sessions(&world), 1, "the record after them is processed");
}

#[test]
fn a_diverted_record_keeps_its_bytes_whatever_the_state() {
    let mut stage = factory(1).stage(0);
    let input = Input { offset: 3, key: Vec::new(), value: framed(&event("a", 0)) };
    let mut out = Outputs::new();
    stage.divert(record(0, &input), &Diversion::Panic("boom".to_owned()), &mut out);
    let append = out.iter().next().unwrap();
    let (_, body) = frame::split(append.value).unwrap();
    let row = millstream_schemas::Rejected::decode(body).unwrap();
    assert_eq!(
        (row.reason, row.detail, row.event_id, row.payload),
        ("operator_panic", "boom", Some("a"), &*input.value)
    );
    assert_eq!(stage.state_keys(), 0);
}

#[test]
fn an_event_without_identity_reaches_no_person_operator() {
    let mut world = World::new(1);
    world.append(0, &[], framed(&Event { source: None, person: None, ..event("a", 0) }));
    world.drain();
    assert!(world.outputs.is_empty());
    assert_eq!(world.stages[0].state_keys(), 0);
}

#[test]
fn no_timer_fires_before_all_upstreams_have_announced() {
    let mut world = World::new(1);
    world.event(&event("a", 0));
    world.append(0, &[], framed(&Watermark { upstream: 1, upstreams: 2, time: i64::MAX }));
    world.drain();
    assert!(world.view().values().all(|row| !row.contains("closed\"")));
    world.append(0, &[], framed(&Watermark { upstream: 0, upstreams: 2, time: 30 * 60_000 }));
    world.drain();
    assert!(world.view().values().all(|row| !row.contains("closed\"")), "at the due time itself it is open");
    world.append(0, &[], framed(&Watermark { upstream: 0, upstreams: 2, time: 30 * 60_000 + 1 }));
    world.drain();
    assert!(world.view().values().any(|row| row.contains("state: \"closed\", closed_at: Some(1800000)")));
}

#[test]
fn settings_apply_from_their_record_on_once_and_can_be_undone() {
    let settings = |number, gap_ms: i64| {
        let body = format!("{{\"session_gap_ms\":{gap_ms}}}");
        framed(&Control { number, kind: "site_config", site: SITE, effective_at: 0, body: &body })
    };
    let mut world = World::new(1);
    world.append(0, &[], settings(2, 1_000));
    // A copy that comes again, or an older one, changes nothing.
    world.append(0, &[], settings(1, 3_600_000));
    world.epoch(0, 9, true);
    world.event(&event("a", 0));
    world.event(&event("b", 2_000));
    world.drain();
    assert_eq!(sessions(&world), 2);
    assert!(world.rejected().is_empty());
}

#[test]
fn a_registrys_schema_ids_are_used_both_ways() {
    let topics =
        ProfileTopics::of(|name| TopicSpec { name: name.to_owned(), partitions: 1, retention: Retention::Forever });
    let schema_ids = SchemaIds::registered([(Event::ID, 901), (Session::ID, 902)]);
    let factory = crate::ProfileFactory::new(ProfileConfig { schema_ids, ..ProfileConfig::new(topics) });
    let mut value = Vec::new();
    event("a", 0).encode_framed(901, &mut value);
    let input = Input { offset: 0, key: Vec::new(), value };
    let mut out = Outputs::new();
    factory.stage(0).on_record(record(0, &input), &mut out);
    let ids: Vec<u32> = out.iter().map(|append| frame::split(append.value).unwrap().0).collect();
    assert_eq!(ids, [902, millstream_schemas::Propensity::ID]);
}
