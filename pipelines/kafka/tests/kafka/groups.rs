//! Who owns what, and where reading starts.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use millstream_kafka::GroupProtocol;
use millstream_transports::{Batch, Change, CommitOutcome, Transport, TransportError};

use crate::support::{
    PATIENCE, append, at, commit_of, config, contents, fill, join, topic, transport, unique, with_protocol,
};

#[test]
fn nothing_is_delivered_before_a_seek() {
    let Some(kafka) = transport("nothing_is_delivered_before_a_seek") else { return };
    let input = topic(&kafka, "input", 2);
    fill(&kafka, &input, 0, &["a", "b", "c"]);
    fill(&kafka, &input, 1, &["x"]);
    let mut member = join(&kafka, &unique("group"), "one", &[&input], &[]);
    let deadline = Instant::now() + PATIENCE;
    while member.owned.len() < 2 {
        member.poll().expect("a poll");
        assert!(Instant::now() < deadline, "no assignment");
    }
    for _ in 0..25 {
        member.poll().expect("a poll");
    }
    assert_eq!(member.records, vec![]);
    assert!(!member.member.at_end(at(0, 0)).expect("at_end"), "an unsought partition has delivered nothing");
    member.member.seek(at(0, 0), 1).expect("sought");
    member.until("two records", |member| member.records.len() == 2);
    member.drain(at(0, 0));
    assert_eq!(member.values(), ["b", "c"], "the other partition stays silent");
    member.member.seek(at(0, 0), 2).expect("sought back");
    member.drain(at(0, 0));
    assert_eq!(member.values(), ["b", "c", "c"]);
    member.member.seek(at(0, 0), 0).expect("sought to the start");
    member.drain(at(0, 0));
    assert_eq!(member.values(), ["b", "c", "c", "a", "b", "c"]);
}

#[test]
fn a_pause_holds_one_partition_and_loses_nothing() {
    let Some(kafka) = transport("a_pause_holds_one_partition_and_loses_nothing") else { return };
    let input = topic(&kafka, "input", 2);
    fill(&kafka, &input, 0, &["a"]);
    let mut member = join(&kafka, &unique("group"), "one", &[&input], &[]);
    member.until("a record", |member| member.records.len() == 1);
    member.member.pause(at(0, 0)).expect("paused");
    member.member.pause(at(0, 0)).expect("paused twice");
    fill(&kafka, &input, 0, &["b"]);
    fill(&kafka, &input, 1, &["x"]);
    member.until("the other partition", |member| member.records.len() == 2);
    for _ in 0..20 {
        member.step().expect("a poll");
    }
    assert_eq!(member.values(), ["a", "x"]);
    member.member.resume(at(0, 0)).expect("resumed");
    member.member.resume(at(0, 0)).expect("resumed twice");
    member.until("the held record", |member| member.records.len() == 3);
    member.drain(at(0, 0));
    assert_eq!(member.values(), ["a", "x", "b"]);
    // A seek while paused does not end the pause.
    member.member.pause(at(0, 0)).expect("paused");
    member.member.seek(at(0, 0), 0).expect("sought");
    for _ in 0..20 {
        member.step().expect("a poll");
    }
    assert_eq!(member.values(), ["a", "x", "b"]);
    member.member.resume(at(0, 0)).expect("resumed");
    member.drain(at(0, 0));
    assert_eq!(member.values(), ["a", "x", "b", "a", "b"]);
}

#[test]
fn a_paused_member_that_polls_keeps_its_place_and_knows_its_backlog() {
    let Some(kafka) = transport("a_paused_member_that_polls_keeps_its_place_and_knows_its_backlog") else { return };
    let input = topic(&kafka, "input", 1);
    fill(&kafka, &input, 0, &["a"]);
    let mut member = join(&kafka, &unique("group"), "one", &[&input], &[]);
    member.until("a record", |member| member.records.len() == 1);
    member.drain(at(0, 0));
    assert_eq!(member.member.backlog(at(0, 0)).expect("asked"), Some(0));
    member.member.pause(at(0, 0)).expect("paused");
    fill(&kafka, &input, 0, &["b", "c"]);
    // Longer than the session time-out of 6 s.
    let until = Instant::now() + Duration::from_secs(9);
    while Instant::now() < until {
        member.step().expect("a poll");
    }
    assert_eq!(member.changes.len(), 1, "{:?}", member.changes);
    // Two records and the end of their transaction.
    assert_eq!(member.member.backlog(at(0, 0)).expect("asked"), Some(3));
    let commit = [commit_of(at(0, 0), 1)];
    assert_eq!(member.member.commit_offsets(&commit), CommitOutcome::Committed, "it is still a member");
    member.member.resume(at(0, 0)).expect("resumed");
    member.drain(at(0, 0));
    assert_eq!(member.values(), ["a", "b", "c"]);
}

fn hand_over(name: &str, protocol: GroupProtocol) {
    let Some(config) = config(name) else { return };
    let kafka = with_protocol(config, protocol);
    let (left, right, output) = (topic(&kafka, "left", 4), topic(&kafka, "right", 4), topic(&kafka, "output", 4));
    for partition in 0..4 {
        fill(&kafka, &left, partition, &["l"]);
        fill(&kafka, &right, partition, &["r"]);
    }
    let group = unique("group");
    let mut one = join(&kafka, &group, "one", &[&left, &right], &[&output]);
    one.until("all partitions", |member| member.owned.len() == 8 && member.records.len() == 8);
    one.member.send(append(0, "k", "committed")).expect("sent");
    let offsets: Vec<_> = one.records.iter().map(|(partition, offset, _)| commit_of(*partition, offset + 1)).collect();
    assert_eq!(one.member.commit(&offsets), CommitOutcome::Committed);
    // Open when the partitions are taken away: must never be seen.
    one.member.send(append(0, "k", "open")).expect("sent");

    let mut two = join(&kafka, &group, "two", &[&left, &right], &[&output]);
    let deadline = Instant::now() + PATIENCE;
    while one.owned.len() != 4 || two.owned.len() != 4 {
        one.step().expect("a poll");
        two.step().expect("a poll");
        assert!(Instant::now() < deadline, "no balance: {:?} and {:?}", one.owned, two.owned);
    }
    assert!(one.owned.is_disjoint(&two.owned));
    for member in [&one, &two] {
        let of = |topic: u16| {
            member
                .owned
                .iter()
                .filter(|owned| owned.topic == topic)
                .map(|owned| owned.partition)
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(of(0), of(1), "the same partitions of both inputs on one member");
        assert_eq!(of(0).len(), 2);
    }
    assert!(
        one.changes.iter().any(|change| matches!(change, Change::Revoked { lost: false, .. })),
        "handed back in order: {:?}",
        one.changes
    );
    assert_eq!(contents(&kafka, &output, 0), ["committed"]);

    // The new owner goes on where the old one committed.
    let moved = *two.owned.first().expect("owned");
    fill(&kafka, [&left, &right][usize::from(moved.topic)], moved.partition, &["next"]);
    two.until("the next record", |member| member.values() == ["next"]);
    // Offsets of a partition that another owns are refused, and so is what was sent beside them.
    let foreign = *one.owned.first().expect("owned");
    two.member.send(append(1, "k", "refused")).expect("sent");
    assert!(matches!(two.member.commit(&[commit_of(foreign, 0)]), CommitOutcome::Fenced(_)));
    two.member.send(append(1, "k", "accepted")).expect("sent");
    let (partition, offset, _) = two.records[0].clone();
    assert_eq!(two.member.commit(&[commit_of(partition, offset + 1)]), CommitOutcome::Committed);
    assert_eq!(contents(&kafka, &output, 1), ["accepted"]);
}

#[test]
fn partitions_are_handed_over_together_classic() {
    hand_over("partitions_are_handed_over_together_classic", GroupProtocol::Classic);
}

#[test]
fn partitions_are_handed_over_together_consumer() {
    hand_over("partitions_are_handed_over_together_consumer", GroupProtocol::Consumer);
}

fn restart(name: &str, protocol: GroupProtocol) {
    let Some(config) = config(name) else { return };
    let kafka = with_protocol(config, protocol);
    let input = topic(&kafka, "input", 2);
    let group = unique("group");
    let mut first = join(&kafka, &group, "one", &[&input], &[]);
    first.until("an assignment", |member| member.owned.len() == 2);
    first.member.close().expect("closed");
    let begun = Instant::now();
    let mut second = join(&kafka, &group, "one", &[&input], &[]);
    second.until("the assignment again", |member| member.owned.len() == 2);
    eprintln!("{name}: partitions again after {:?}", begun.elapsed());
}

#[test]
fn a_restarted_instance_takes_its_place_classic() {
    restart("a_restarted_instance_takes_its_place_classic", GroupProtocol::Classic);
}

#[test]
fn a_restarted_instance_takes_its_place_consumer() {
    restart("a_restarted_instance_takes_its_place_consumer", GroupProtocol::Consumer);
}

#[test]
fn offsets_that_are_gone_are_named() {
    let Some(kafka) = transport("offsets_that_are_gone_are_named") else { return };
    let input = topic(&kafka, "input", 1);
    fill(&kafka, &input, 0, &["a", "b", "c", "d"]);
    crate::topics::delete_before(kafka.config(), &input, 0, 2);
    let mut member = join(&kafka, &unique("group"), "one", &[&input], &[]);
    let deadline = Instant::now() + PATIENCE;
    while member.owned.is_empty() {
        member.poll().expect("a poll");
        assert!(Instant::now() < deadline, "no assignment");
    }
    assert_eq!(member.member.earliest(at(0, 0)).expect("asked"), 2);
    for wrong in [1, 1_000] {
        let error = member.member.seek(at(0, 0), wrong).expect_err("out of range");
        assert!(
            matches!(&error, TransportError::OffsetOutOfRange { topic, offset, earliest: 2, .. } if *topic == input && *offset == wrong),
            "{error}"
        );
        let error = kafka.reader(&input, 0, wrong).err().expect("out of range");
        assert!(matches!(error, TransportError::OffsetOutOfRange { earliest: 2, .. }), "{error}");
    }
    member.member.seek(at(0, 0), 0).expect("the earliest left");
    member.drain(at(0, 0));
    assert_eq!(member.values(), ["c", "d"]);
    assert_eq!(contents(&kafka, &input, 0), ["c", "d"]);

    // Deleted under a paused reader.
    member.member.pause(at(0, 0)).expect("paused");
    fill(&kafka, &input, 0, &["e", "f", "g"]);
    let end = {
        member.member.earliest(at(0, 0)).expect("asked");
        crate::topics::end_of(kafka.config(), &input, 0)
    };
    crate::topics::delete_before(kafka.config(), &input, 0, end - 1);
    member.member.resume(at(0, 0)).expect("resumed");
    let (mut batch, mut changes) = (Batch::new(), Vec::new());
    let deadline = Instant::now() + PATIENCE;
    let error = loop {
        match member.member.poll(Duration::from_millis(50), &mut batch, &mut changes) {
            Ok(()) => assert!(batch.is_empty(), "jumped over what is gone"),
            Err(error) => break error,
        }
        assert!(Instant::now() < deadline, "the gap went unnoticed");
    };
    assert!(matches!(error, TransportError::OffsetOutOfRange { .. }), "{error}");
}
