//! Whoever was overtaken can do no harm.

use std::time::{Duration, Instant};

use millstream_kafka::{GroupProtocol, KafkaTransport};
use millstream_transports::{Change, CommitOutcome, Transport, TransportError};

use crate::proxy::Proxy;
use crate::support::{
    PATIENCE, append, at, commit_of, config, contents, fill, join, topic, transport, unique, with_protocol,
};

#[test]
fn a_second_producer_with_the_same_id_fences_the_first() {
    let Some(kafka) = transport("a_second_producer_with_the_same_id_fences_the_first") else { return };
    let output = topic(&kafka, "output", 1);
    let id = unique("import");
    let mut first = kafka.transactions(&id, vec![output.clone()]).expect("a producer");
    first.send(append(0, "k", "first")).expect("sent");
    let mut second = kafka.transactions(&id, vec![output.clone()]).expect("a producer");
    let begun = Instant::now();
    let _ = first.send(append(0, "k", "more"));
    assert!(matches!(first.commit(), CommitOutcome::Fenced(_)));
    eprintln!("the fenced commit took {:?}", begun.elapsed());
    assert!(matches!(first.send(append(0, "k", "still")), Err(TransportError::Fenced(_))));
    assert!(matches!(first.commit(), CommitOutcome::Fenced(_)));
    second.send(append(0, "k", "second")).expect("sent");
    assert_eq!(second.commit(), CommitOutcome::Committed);
    assert_eq!(contents(&kafka, &output, 0), ["second"]);
}

#[test]
fn a_second_member_with_the_same_instance_id_replaces_the_first() {
    let Some(kafka) = transport("a_second_member_with_the_same_instance_id_replaces_the_first") else { return };
    let (input, output) = (topic(&kafka, "input", 2), topic(&kafka, "output", 1));
    fill(&kafka, &input, 0, &["a"]);
    let group = unique("group");
    let mut first = join(&kafka, &group, "one", &[&input], &[&output]);
    first.until("a record", |member| member.owned.len() == 2 && member.records.len() == 1);
    first.member.send(append(0, "k", "zombie")).expect("sent");

    let mut second = join(&kafka, &group, "one", &[&input], &[&output]);
    second.until("its place", |member| member.owned.len() == 2 && member.records.len() == 1);
    assert!(matches!(first.member.commit(&[commit_of(at(0, 0), 1)]), CommitOutcome::Fenced(_)));
    let error = first.step().expect_err("finished");
    assert!(matches!(error, TransportError::Fenced(_)), "{error}");
    assert!(matches!(first.member.settle(), Err(TransportError::Fenced(_))), "must not fence its successor");

    second.member.send(append(0, "k", "successor")).expect("sent");
    assert_eq!(second.member.commit(&[commit_of(at(0, 0), 1)]), CommitOutcome::Committed);
    assert_eq!(contents(&kafka, &output, 0), ["successor"]);
}

/// With KIP-848 the newcomer gets no partition while the old one lives, but the old one cannot commit any more.
#[test]
fn a_second_member_with_the_same_instance_id_silences_the_first_consumer() {
    let Some(config) = config("a_second_member_with_the_same_instance_id_silences_the_first_consumer") else { return };
    let kafka = with_protocol(config, GroupProtocol::Consumer);
    let (input, output) = (topic(&kafka, "input", 2), topic(&kafka, "output", 1));
    fill(&kafka, &input, 0, &["a"]);
    let group = unique("group");
    let mut first = join(&kafka, &group, "one", &[&input], &[&output]);
    first.until("a record", |member| member.owned.len() == 2 && member.records.len() == 1);
    first.member.send(append(0, "k", "zombie")).expect("sent");
    let mut second = join(&kafka, &group, "one", &[&input], &[&output]);
    for _ in 0..10 {
        second.step().expect("it waits for its place");
    }
    assert!(second.owned.is_empty());
    assert!(matches!(first.member.commit(&[commit_of(at(0, 0), 1)]), CommitOutcome::Fenced(_)));
    assert!(matches!(first.step(), Err(TransportError::Fenced(_))));
    first.member.close().expect("closed");
    second.until("its place", |member| member.owned.len() == 2 && member.records.len() == 1);
    second.member.send(append(0, "k", "successor")).expect("sent");
    assert_eq!(second.member.commit(&[commit_of(at(0, 0), 1)]), CommitOutcome::Committed);
    assert_eq!(contents(&kafka, &output, 0), ["successor"]);
}

/// A member that does not poll for too long is put out of the group; it wakes up and wants to commit.
fn overslept(name: &str, protocol: GroupProtocol) {
    let Some(mut config) = config(name) else { return };
    config.session_timeout_ms = 6_000;
    config.extra.insert("max.poll.interval.ms".to_owned(), "6000".to_owned());
    let kafka: KafkaTransport = with_protocol(config, protocol);
    let (input, output) = (topic(&kafka, "input", 2), topic(&kafka, "output", 1));
    fill(&kafka, &input, 0, &["a"]);
    let group = unique("group");
    let mut sleeper = join(&kafka, &group, "sleeper", &[&input], &[&output]);
    sleeper.until("a record", |member| member.records.len() == 1);

    let mut other = join(&kafka, &group, "other", &[&input], &[&output]);
    // The sleeper does not poll from here on.
    other.until("everything", |member| member.owned.len() == 2 && member.records.len() == 1);
    other.member.send(append(0, "k", "owner")).expect("sent");
    assert_eq!(other.member.commit(&[commit_of(at(0, 0), 1)]), CommitOutcome::Committed);

    sleeper.member.send(append(0, "k", "sleeper")).expect("sent");
    let outcome = sleeper.member.commit(&[commit_of(at(0, 0), 1)]);
    assert!(matches!(outcome, CommitOutcome::Fenced(_)), "{outcome:?}");
    assert_eq!(contents(&kafka, &output, 0), ["owner"]);
    // Polling rejoins.
    let deadline = Instant::now() + PATIENCE;
    while !sleeper.changes.iter().any(|change| matches!(change, Change::Revoked { .. })) {
        sleeper.step().expect("a poll");
        assert!(Instant::now() < deadline, "the loss was not told");
    }
    assert!(
        sleeper.changes.iter().any(|change| matches!(change, Change::Revoked { lost: true, .. })),
        "{:?}",
        sleeper.changes
    );
    let deadline = Instant::now() + PATIENCE;
    while sleeper.owned.len() != 1 || other.owned.len() != 1 {
        sleeper.step().expect("a poll");
        other.step().expect("a poll");
        assert!(Instant::now() < deadline, "no balance: {:?} and {:?}", sleeper.owned, other.owned);
    }
    let mine = *sleeper.owned.first().expect("owned");
    sleeper.member.send(append(0, "k", "back")).expect("sent");
    assert_eq!(sleeper.member.commit(&[commit_of(mine, 0)]), CommitOutcome::Committed);
    assert_eq!(contents(&kafka, &output, 0), ["owner", "back"]);
}

#[test]
fn an_overslept_member_is_fenced_and_comes_back_classic() {
    overslept("an_overslept_member_is_fenced_and_comes_back_classic", GroupProtocol::Classic);
}

#[test]
fn an_overslept_member_is_fenced_and_comes_back_consumer() {
    overslept("an_overslept_member_is_fenced_and_comes_back_consumer", GroupProtocol::Consumer);
}

/// A member cut off from the broker (or a process that was stopped) wakes up after its session has ended.
fn cut_off(name: &str, protocol: GroupProtocol) {
    let Some(mut config) = config(name) else { return };
    let direct = with_protocol(config.clone(), protocol);
    let proxy = Proxy::start(&config.brokers);
    config.brokers = proxy.address();
    let proxied = with_protocol(config, protocol);
    let (input, output) = (topic(&direct, "input", 2), topic(&direct, "output", 1));
    fill(&direct, &input, 0, &["a"]);
    let group = unique("group");
    let mut stale = join(&proxied, &group, "stale", &[&input], &[&output]);
    stale.until("a record", |member| member.owned.len() == 2 && member.records.len() == 1);
    stale.member.send(append(0, "k", "before")).expect("sent");
    assert_eq!(stale.member.commit(&[commit_of(at(0, 0), 1)]), CommitOutcome::Committed);

    proxy.freeze(true);
    let mut other = join(&direct, &group, "other", &[&input], &[&output]);
    other.until("everything", |member| member.owned.len() == 2);
    fill(&direct, &input, 0, &["b"]);
    other.until("the next record", |member| member.values() == ["b"]);
    let next = other.records[0].1 + 1;
    other.member.send(append(0, "k", "owner")).expect("sent");
    assert_eq!(other.member.commit(&[commit_of(at(0, 0), next)]), CommitOutcome::Committed);
    proxy.freeze(false);

    // Neither with offsets nor without: the last offset is repeated, so that the group's generation is checked.
    stale.member.send(append(0, "k", "stale")).expect("sent");
    let outcome = stale.member.commit(&[]);
    assert!(matches!(outcome, CommitOutcome::Fenced(_)), "{outcome:?}");
    let _ = stale.member.send(append(0, "k", "stale"));
    let outcome = stale.member.commit(&[commit_of(at(0, 0), next)]);
    assert!(matches!(outcome, CommitOutcome::Fenced(_)), "{outcome:?}");
    assert!(matches!(stale.member.commit_offsets(&[commit_of(at(0, 0), 1)]), CommitOutcome::Fenced(_)));
    assert_eq!(contents(&direct, &output, 0), ["before", "owner"]);
    assert_eq!(direct.committed(&group, &input, 0).expect("asked").expect("committed").offset, next);
}

#[test]
fn a_member_that_was_cut_off_is_fenced_classic() {
    cut_off("a_member_that_was_cut_off_is_fenced_classic", GroupProtocol::Classic);
}

#[test]
fn a_member_that_was_cut_off_is_fenced_consumer() {
    cut_off("a_member_that_was_cut_off_is_fenced_consumer", GroupProtocol::Consumer);
}

#[test]
fn a_transaction_that_timed_out_is_not_committed() {
    let Some(mut config) = config("a_transaction_that_timed_out_is_not_committed") else { return };
    config.transaction_timeout_ms = 1_500;
    let kafka = KafkaTransport::new(config).expect("a transport");
    let output = topic(&kafka, "output", 1);
    let mut producer = kafka.transactions(&unique("slow"), vec![output.clone()]).expect("a producer");
    producer.send(append(0, "k", "late")).expect("sent");
    // The broker looks for expired transactions every 10 s by default.
    let deadline = Instant::now() + PATIENCE;
    fill(&kafka, &output, 0, &["probe"]);
    while contents(&kafka, &output, 0).is_empty() {
        assert!(Instant::now() < deadline, "the open transaction still hides what follows");
        std::thread::sleep(Duration::from_millis(250));
    }
    let outcome = producer.commit();
    assert!(matches!(outcome, CommitOutcome::Fenced(_) | CommitOutcome::Aborted(_)), "{outcome:?}");
    assert_eq!(contents(&kafka, &output, 0), ["probe"]);
}
