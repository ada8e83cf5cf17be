//! Outputs and offsets are visible together or not at all.

use millstream_kafka::{HangingTransaction, KafkaConfig, KafkaTransport};
use millstream_transports::{CommitOutcome, OffsetCommit, Transport};
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::support::{PATIENCE, append, at, commit_of, config, contents, fill, join, topic, transport, unique};

#[test]
fn outputs_and_offsets_commit_together() {
    let Some(kafka) = transport("outputs_and_offsets_commit_together") else { return };
    let (input, output) = (topic(&kafka, "input", 1), topic(&kafka, "output", 1));
    fill(&kafka, &input, 0, &["a", "b", "c"]);
    let group = unique("group");
    let mut member = join(&kafka, &group, "one", &[&input], &[&output]);
    member.until("three records", |member| member.records.len() == 3);
    assert_eq!(member.values(), ["a", "b", "c"]);
    let next = member.records[2].1 + 1;

    member.member.send(append(0, "k", "lost")).expect("sent");
    member.member.abort().expect("aborted");
    assert_eq!(member.member.committed(at(0, 0)).expect("asked"), None);

    member.member.send(append(0, "k", "kept")).expect("sent");
    assert_eq!(member.member.commit(&[commit_of(at(0, 0), next)]), CommitOutcome::Committed);
    assert_eq!(contents(&kafka, &output, 0), ["kept"]);
    let committed = member.member.committed(at(0, 0)).expect("asked").expect("committed");
    assert_eq!((committed.offset, committed.metadata.as_str()), (next, ""));
    assert_eq!(kafka.committed(&group, &input, 0).expect("asked").expect("committed").offset, next);
    member.member.close().expect("closed");
}

#[test]
fn the_end_is_reached_behind_markers_and_aborted_records() {
    let Some(kafka) = transport("the_end_is_reached_behind_markers_and_aborted_records") else { return };
    let input = topic(&kafka, "input", 1);
    fill(&kafka, &input, 0, &["a"]);
    let mut producer = kafka.transactions(&unique("aborts"), vec![input.clone()]).expect("a producer");
    for _ in 0..5 {
        producer.send(append(0, "k", "never")).expect("sent");
        producer.abort().expect("aborted");
    }
    let mut member = join(&kafka, &unique("group"), "one", &[&input], &[]);
    member.until("an assignment", |member| !member.owned.is_empty());
    assert!(!member.member.at_end(at(0, 0)).expect("at_end") || member.values() == ["a"]);
    member.drain(at(0, 0));
    assert_eq!(member.values(), ["a"]);
    // And what comes later ends that end.
    fill(&kafka, &input, 0, &["b"]);
    assert!(!member.member.at_end(at(0, 0)).expect("at_end"));
    member.drain(at(0, 0));
    assert_eq!(member.values(), ["a", "b"]);
}

#[test]
fn an_open_transaction_hides_what_follows_it() {
    let Some(kafka) = transport("an_open_transaction_hides_what_follows_it") else { return };
    let input = topic(&kafka, "input", 1);
    let mut open = kafka.transactions(&unique("open"), vec![input.clone()]).expect("a producer");
    open.send(append(0, "k", "first")).expect("sent");
    // Long enough that the record has left the producer's queue: it must be in the log before the second one.
    std::thread::sleep(std::time::Duration::from_millis(300));
    fill(&kafka, &input, 0, &["second"]);
    assert_eq!(contents(&kafka, &input, 0), Vec::<String>::new(), "up to the last stable offset only");
    assert_eq!(open.commit(), CommitOutcome::Committed);
    assert_eq!(contents(&kafka, &input, 0), ["first", "second"]);
}

#[test]
fn a_hanging_transaction_is_named() {
    let Some(config) = config("a_hanging_transaction_is_named") else { return };
    let kafka = KafkaTransport::new(config.clone()).expect("a transport");
    let (whole, held) = (topic(&kafka, "whole", 2), topic(&kafka, "held", 2));
    let topics = [whole.clone(), held.clone()];
    fill(&kafka, &whole, 0, &["a", "b"]);
    fill(&kafka, &held, 1, &["a"]);
    let never = |_| panic!("nothing is open");
    assert_eq!(kafka.hanging_transactions(&topics, &never).expect("asked"), []);

    // One that the broker lets stay open for longer than it would let any of ours.
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &config.brokers)
        .set("transactional.id", unique("hanging"))
        .set("transaction.timeout.ms", "120000")
        .create()
        .expect("a producer");
    producer.init_transactions(PATIENCE).expect("initialized");
    producer.begin_transaction().expect("begun");
    producer.send(BaseRecord::to(&held).partition(1).key("k").payload("never")).expect("sent");
    producer.flush(PATIENCE).expect("flushed");
    let hanging = KafkaTransport::new(KafkaConfig { transaction_timeout_ms: 1, ..config }).expect("a transport");
    let expected = HangingTransaction { topic: held.clone(), partition: 1, offset: 2 };
    assert_eq!(hanging.hanging_transactions(&topics, &|_| {}).expect("asked"), [expected]);

    // One that somebody ends while it is looked at is none.
    let (suspected, suspicion) = std::sync::mpsc::channel();
    let looking =
        std::thread::spawn(move || kafka.hanging_transactions(&topics, &|_| suspected.send(()).expect("awaited")));
    suspicion.recv_timeout(PATIENCE).expect("it is seen");
    producer.abort_transaction(PATIENCE).expect("aborted");
    assert_eq!(looking.join().expect("joined").expect("asked"), []);
}

#[test]
fn aborting_unsent_records_harms_nothing() {
    let Some(kafka) = transport("aborting_unsent_records_harms_nothing") else { return };
    let output = topic(&kafka, "output", 3);
    let mut producer = kafka.transactions(&unique("aborts"), vec![output.clone()]).expect("a producer");
    let value = "x".repeat(500);
    for round in 0..60_u32 {
        for record in 0..(1 + round * 7 % 400) {
            producer.send(append(record % 3, "k", &value)).expect("sent");
        }
        producer.abort().unwrap_or_else(|error| panic!("abort {round}: {error}"));
    }
    producer.send(append(1, "k", "kept")).expect("sent");
    assert_eq!(producer.commit(), CommitOutcome::Committed);
    for (partition, expected) in [(0, vec![]), (1, vec!["kept"]), (2, vec![])] {
        assert_eq!(contents(&kafka, &output, partition), expected);
    }
}

#[test]
fn settling_tells_what_became_of_a_transaction() {
    let Some(kafka) = transport("settling_tells_what_became_of_a_transaction") else { return };
    let (input, output) = (topic(&kafka, "input", 1), topic(&kafka, "output", 1));
    fill(&kafka, &input, 0, &["a"]);
    let mut member = join(&kafka, &unique("group"), "one", &[&input], &[&output]);
    member.until("a record", |member| member.records.len() == 1);
    member.member.send(append(0, "k", "open")).expect("sent");
    // A new producer of the same id: the open transaction is aborted, and the offset tells.
    member.member.settle().expect("settled");
    assert_eq!(member.member.committed(at(0, 0)).expect("asked"), None);
    member.member.send(append(0, "k", "after")).expect("sent");
    assert_eq!(member.member.commit(&[commit_of(at(0, 0), 1)]), CommitOutcome::Committed);
    member.member.settle().expect("settled");
    assert_eq!(member.member.committed(at(0, 0)).expect("asked").expect("committed").offset, 1);
    assert_eq!(contents(&kafka, &output, 0), ["after"]);
}

#[test]
fn offsets_carry_notes_outside_transactions() {
    let Some(kafka) = transport("offsets_carry_notes_outside_transactions") else { return };
    let input = topic(&kafka, "input", 1);
    fill(&kafka, &input, 0, &["a", "b"]);
    let group = unique("group");
    let mut member = join(&kafka, &group, "sink", &[&input], &[]);
    member.until("records", |member| member.records.len() == 2);
    let note = format!("{{\"intent\":\"{}\"}}", "é".repeat(1_000));
    let commit = OffsetCommit { partition: at(0, 0), offset: 1, metadata: note.clone() };
    assert_eq!(member.member.commit_offsets(std::slice::from_ref(&commit)), CommitOutcome::Committed);
    assert_eq!(member.member.committed(at(0, 0)).expect("asked").expect("committed").metadata, note);
    let found = kafka.committed(&group, &input, 0).expect("asked").expect("committed");
    assert_eq!((found.offset, found.metadata), (1, note));
    let too_long = OffsetCommit { metadata: "x".repeat(3_001), ..commit };
    assert!(matches!(member.member.commit_offsets(&[too_long]), CommitOutcome::Aborted(_)));
    assert_eq!(kafka.committed(&unique("nobody"), &input, 0).expect("asked"), None);
}

#[test]
fn empty_keys_and_values_survive() {
    let Some(kafka) = transport("empty_keys_and_values_survive") else { return };
    let output = topic(&kafka, "output", 1);
    let mut producer = kafka.transactions(&unique("tombstones"), vec![output.clone()]).expect("a producer");
    producer.send(append(0, "", "v")).expect("sent");
    producer.send(append(0, "gone", "")).expect("sent");
    assert_eq!(producer.commit(), CommitOutcome::Committed);
    assert_eq!(contents(&kafka, &output, 0), ["v", ""]);
}
