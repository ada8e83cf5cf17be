//! Topics that are deleted and made anew under the same name.

use std::sync::Arc;

use millstream_deliver::Note;
use millstream_transports::Committed;

use crate::notes::Notes;
use crate::support::records::session;
use crate::support::world::{Put, World};
use crate::support::{Trouble, Troubled};

fn sessions(from: i64, count: i64) -> Vec<Put<'static>> {
    (from..from + count).map(|n| ("sessions", 0, session(&n.to_string(), n, 1, false))).collect()
}

/// Keeps the committed offset beside a topic that is made anew, as some brokers and all copies of offsets between clusters do.
fn remake_with_offsets(world: &World) {
    let kept: Committed = world.committed("sessions", 0).unwrap();
    world.log.remake_topic("sessions").unwrap();
    world.log.commit_foreign("deliver-test", "sessions", 0, kept).unwrap();
}

#[test]
fn an_offset_of_the_former_topic_delivers_nothing_of_the_new_one() {
    let world = World::new();
    let notes = Arc::new(Notes::default());
    world.append(&sessions(0, 5));
    world.deliver(notes.clone());
    remake_with_offsets(&world);
    // Longer than the former one: the old offset lies in the middle.
    world.append(&sessions(100, 9));
    let mut deliverer = world.deliverer(notes.clone(), world.config());
    world.deliver_all(&mut deliverer).unwrap();
    assert_eq!(deliverer.stats().topics_made_anew, 1);
    let offsets = notes.offsets("sessions");
    let (former, new): (Vec<_>, Vec<_>) = offsets.iter().partition(|(topic_id, _)| *topic_id == offsets[0].0);
    assert_eq!((former.len(), new.len()), (5, 9));
    assert_eq!(new.iter().map(|(_, offset)| *offset).collect::<Vec<_>>(), (0..9).collect::<Vec<_>>());
    // The offset now speaks of the new topic: the next start finds nothing to do.
    let mut next = world.deliverer(notes.clone(), world.config());
    world.deliver_all(&mut next).unwrap();
    assert_eq!((next.stats().topics_made_anew, next.stats().rows()), (0, 0));
}

#[test]
fn an_intent_of_the_former_topic_is_neither_inserted_nor_taken_for_the_new_one() {
    let world = World::new();
    let notes = Arc::new(Notes::default());
    world.append(&sessions(0, 5));
    {
        let mut dying = world.deliverer(Troubled::new(notes.clone(), Trouble::BeforeInsert), world.config());
        for _ in 0..4 {
            world.step(&mut dying).unwrap();
        }
    }
    remake_with_offsets(&world);
    // Byte for byte the same records at the same offsets: only the topic differs.
    world.append(&sessions(0, 5));
    let mut deliverer = world.deliverer(notes.clone(), world.config());
    world.deliver_all(&mut deliverer).unwrap();
    assert_eq!((deliverer.stats().topics_made_anew, deliverer.stats().rebuilt), (1, 0));
    let new_id =
        Note::decode(&world.committed("sessions", 0).unwrap().metadata).unwrap().topic_id().unwrap().to_owned();
    assert_eq!(notes.offsets("sessions"), (0..5).map(|offset| (new_id.clone(), offset)).collect::<Vec<_>>());
}

#[test]
fn a_topic_made_anew_while_it_is_read_begins_anew() {
    let world = World::new();
    let notes = Arc::new(Notes::default());
    let mut deliverer = world.deliverer(notes.clone(), world.config());
    world.append(&sessions(0, 5));
    world.deliver_all(&mut deliverer).unwrap();
    world.log.remake_topic("sessions").unwrap();
    world.append(&sessions(100, 3));
    world.append(&[("orders", 0, crate::support::records::order("o1", 1, 1, 0))]);
    // Identities are asked again now and then.
    world.clock.advance(40_000);
    world.step(&mut deliverer).unwrap();
    world.deliver_all(&mut deliverer).unwrap();
    assert_eq!(notes.offsets("sessions").len(), 8);
    assert_eq!(notes.offsets("orders").len(), 1);
}

#[test]
fn a_position_from_before_topics_had_identities_is_kept() {
    let world = World::new();
    let notes = Arc::new(Notes::default());
    world.append(&sessions(0, 5));
    // No note, and a note in which the name stood for the topic.
    for metadata in [String::new(), Note::delivered("sessions")] {
        world.log.commit_foreign("deliver-test", "sessions", 0, Committed { offset: 3, metadata }).unwrap();
        let notes = notes.clone();
        let mut config = world.config();
        config.instance_id = "other".to_owned();
        let mut deliverer = world.deliverer(notes, config);
        world.deliver_all(&mut deliverer).unwrap();
        assert_eq!((deliverer.stats().topics_made_anew, deliverer.stats().rows()), (0, 2));
        deliverer.close().unwrap();
    }
    assert_eq!(notes.offsets("sessions").len(), 2, "the same batch both times");
}
