//! What local logs do beyond the common suite: time-outs by the injected clock, limits, retention, crashes, locks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use millstream_transports::embedded::EmbeddedSync;
use millstream_transports::memory::{MemoryLog, MemorySync};
use millstream_transports::{
    Append, Batch, Change, CommitOutcome, Committed, Fault, LocalOptions, Member, OffsetCommit, Retention,
    TopicPartition, TopicSpec, Transport, TransportError,
};

use crate::support::{append, at, held_clock, join, open, read_from, record, topic, values};

/// One poll that does not wait.
fn changes(member: &mut dyn Member) -> Vec<Change> {
    let mut changes = Vec::new();
    member.poll(Duration::ZERO, &mut Batch::new(), &mut changes).unwrap();
    changes
}

fn assigned(member: &mut dyn Member) -> Vec<TopicPartition> {
    match changes(member).as_slice() {
        [Change::Assigned(partitions)] => partitions.clone(),
        [] => Vec::new(),
        other => panic!("expected an assignment, got {other:?}"),
    }
}

#[test]
fn an_open_transaction_holds_back_what_is_appended_behind_it_until_it_times_out() {
    let (clock, now) = held_clock();
    let log = MemoryLog::with_options(LocalOptions { clock, ..LocalOptions::default() }, MemorySync::Immediate);
    topic(&log, "t", 2);
    append(&log, "t", &[record(0, b"before")]);
    let mut slow = log.transactions("slow", vec!["t".into()]).unwrap();
    slow.send(record(0, b"open")).unwrap();
    append(&log, "t", &[record(0, b"behind"), record(1, b"elsewhere")]);
    assert_eq!(values(&log, "t", 0), ["before"]);
    assert_eq!(values(&log, "t", 1), ["elsewhere"]);
    now.store(9_999, Ordering::SeqCst);
    assert_eq!(values(&log, "t", 0), ["before"]);
    now.store(10_000, Ordering::SeqCst);
    assert_eq!(values(&log, "t", 0), ["before", "behind"]);
    assert!(matches!(slow.commit(), CommitOutcome::Fenced(_)), "a transaction that timed out was committed");
    assert_eq!(values(&log, "t", 0), ["before", "behind"]);
}

#[test]
fn a_member_that_vanished_keeps_its_partitions_for_the_session_timeout() {
    let (clock, now) = held_clock();
    let log = MemoryLog::with_options(LocalOptions { clock, ..LocalOptions::default() }, MemorySync::Immediate);
    topic(&log, "t", 4);
    let mut one = join(&log, "g", "one", &["t"], &[]);
    let mut two = join(&log, "g", "two", &["t"], &[]);
    assert_eq!(assigned(&mut *one).len(), 2);
    assert_eq!(assigned(&mut *two).len(), 2);
    drop(one);
    assert_eq!(changes(&mut *two), [], "partitions moved at once");
    now.store(9_999, Ordering::SeqCst);
    assert_eq!(changes(&mut *two), []);
    now.store(10_000, Ordering::SeqCst);
    assert_eq!(assigned(&mut *two).len(), 2, "partitions did not move after the session timeout");

    // Back within the time-out: the same instance has its old partitions, and nobody else hears of it.
    let mut one = join(&log, "g", "one", &["t"], &[]);
    changes(&mut *two);
    let mine = assigned(&mut *one);
    assert_eq!(mine.len(), 2);
    drop(one);
    let mut one = join(&log, "g", "one", &["t"], &[]);
    assert_eq!(changes(&mut *two), []);
    assert_eq!(assigned(&mut *one), mine);
    one.close().unwrap();
    assert_eq!(assigned(&mut *two), mine, "a closed member's partitions were not free at once");
}

#[test]
fn a_member_that_does_not_poll_in_time_is_taken_for_dead_and_cannot_commit() {
    let (clock, now) = held_clock();
    let options = LocalOptions { clock, max_poll_interval_ms: Some(1_000), ..LocalOptions::default() };
    let log = MemoryLog::with_options(options, MemorySync::Immediate);
    topic(&log, "in", 1);
    topic(&log, "out", 1);
    let mut frozen = join(&log, "g", "one", &["in"], &["out"]);
    assert_eq!(assigned(&mut *frozen), [at(0, 0)]);
    frozen.send(record(0, b"stale")).unwrap();
    let mut other = join(&log, "g", "two", &["in"], &["out"]);
    now.store(999, Ordering::SeqCst);
    assert_eq!(changes(&mut *other), []);
    now.store(1_000, Ordering::SeqCst);
    assert_eq!(assigned(&mut *other), [at(0, 0)]);
    let offset = OffsetCommit { partition: at(0, 0), offset: 1, metadata: String::new() };
    assert!(matches!(frozen.commit(&[offset]), CommitOutcome::Fenced(_)));
    assert_eq!(values(&log, "out", 0), Vec::<String>::new());
    // Who polls in time stays a member for as long as it likes.
    for time_ms in [1_900, 2_800, 3_700] {
        now.store(time_ms, Ordering::SeqCst);
        assert_eq!(changes(&mut *other), []);
    }
    assert!(matches!(changes(&mut *frozen).as_slice(), [Change::Revoked { lost: true, .. }]));
}

#[test]
fn a_revocation_aborts_the_open_transaction() {
    for (fault, lost) in [(Fault::Rebalance, false), (Fault::MembershipLost, true)] {
        let log = MemoryLog::new();
        topic(&log, "in", 1);
        topic(&log, "out", 1);
        let mut member = join(&log, "g", "one", &["in"], &["out"]);
        assigned(&mut *member);
        member.send(record(0, b"of the old assignment")).unwrap();
        log.faults().inject(fault);
        assert_eq!(changes(&mut *member), [Change::Revoked { partitions: vec![at(0, 0)], lost }]);
        let stale = OffsetCommit { partition: at(0, 0), offset: 1, metadata: String::new() };
        assert!(
            matches!(member.commit(&[stale]), CommitOutcome::Fenced(_)),
            "committed between revocation and assignment"
        );
        assert_eq!(assigned(&mut *member), [at(0, 0)]);
        member.send(record(0, b"of the new one")).unwrap();
        assert_eq!(member.commit(&[]), CommitOutcome::Committed);
        assert_eq!(values(&log, "out", 0), ["of the new one"]);
    }
}

#[test]
fn topics_of_one_group_are_assigned_together() {
    let log = MemoryLog::new();
    topic(&log, "events", 6);
    topic(&log, "identity", 6);
    let mut members: Vec<Box<dyn Member>> =
        ["a", "b", "c", "d"].iter().map(|name| join(&log, "g", name, &["events", "identity"], &[])).collect();
    let mut total = 0;
    for member in &mut members {
        let partitions = assigned(&mut **member);
        for partition in &partitions {
            assert!(
                partitions.contains(&at(1 - partition.topic, partition.partition)),
                "{partitions:?} are torn apart"
            );
        }
        total += partitions.len();
    }
    assert_eq!(total, 12);
}

#[test]
fn a_full_queue_refuses_and_says_so() {
    let options = LocalOptions { max_queued_bytes: 1_000, ..LocalOptions::default() };
    let log = MemoryLog::with_options(options, MemorySync::OnRequest);
    topic(&log, "t", 1);
    let appender = log.appender(vec!["t".into()]).unwrap();
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let send = || {
        let acknowledged = Arc::clone(&acknowledged);
        appender.append(
            &[record(0, &[0; 400])],
            Box::new(move |outcome| {
                outcome.unwrap();
                acknowledged.fetch_add(1, Ordering::SeqCst);
            }),
        )
    };
    send().unwrap();
    send().unwrap();
    let refused = send();
    assert!(matches!(refused, Err(TransportError::QueueFull { queued_bytes: 800.. })), "{refused:?}");
    assert_eq!(acknowledged.load(Ordering::SeqCst), 0, "acknowledged before the sync");
    assert!(values(&log, "t", 0).is_empty(), "readable before the sync");
    log.sync();
    assert_eq!((acknowledged.load(Ordering::SeqCst), appender.queued_bytes()), (2, 0));
    send().unwrap();
}

#[test]
fn a_transaction_has_a_limit() {
    let log = MemoryLog::with_options(
        LocalOptions { max_transaction_bytes: 1_000, ..Default::default() },
        MemorySync::Immediate,
    );
    topic(&log, "t", 1);
    let mut transactions = log.transactions("id", vec!["t".into()]).unwrap();
    transactions.send(record(0, &[0; 900])).unwrap();
    assert!(matches!(transactions.send(record(0, &[0; 900])), Err(TransportError::QueueFull { .. })));
    assert_eq!(transactions.commit(), CommitOutcome::Committed);
    assert_eq!(values(&log, "t", 0).len(), 1);
}

#[test]
fn a_crash_loses_what_was_not_synced_and_only_that() {
    let log = MemoryLog::with_options(LocalOptions::default(), MemorySync::OnRequest);
    topic(&log, "t", 1);
    let appender = log.appender(vec!["t".into()]).unwrap();
    appender.append(&[record(0, b"synced")], Box::new(|outcome| outcome.unwrap())).unwrap();
    log.sync();
    appender.append(&[record(0, b"lost")], Box::new(|_| panic!("a dead process acknowledged"))).unwrap();
    let mut open = log.transactions("id", vec!["t".into()]).unwrap();
    open.send(record(0, b"open")).unwrap();
    let after = log.crash();
    assert_eq!(values(&after, "t", 0), ["synced"]);
    assert!(matches!(open.commit(), CommitOutcome::Unknown(_)));
    let refused = appender.append(&[record(0, b"zombie")], Box::new(|_| ()));
    assert!(matches!(refused, Err(TransportError::Unavailable(_))), "{refused:?}");
    assert_eq!(values(&after, "t", 0), ["synced"]);
    append_and_sync(&after, b"on");
    assert_eq!(values(&after, "t", 0), ["synced", "on"]);
}

fn append_and_sync(log: &MemoryLog, value: &[u8]) {
    let appender = log.appender(vec!["t".into()]).unwrap();
    appender.append(&[record(0, value)], Box::new(|outcome| outcome.unwrap())).unwrap();
    log.sync();
}

#[test]
fn a_foreign_commit_moves_the_group_without_asking() {
    let log = MemoryLog::new();
    topic(&log, "t", 1);
    append(&log, "t", &[record(0, b"a"), record(0, b"b")]);
    let mut member = join(&log, "g", "one", &["t"], &[]);
    assigned(&mut *member);
    let ours = OffsetCommit { partition: at(0, 0), offset: 2, metadata: String::new() };
    assert_eq!(member.commit(&[ours]), CommitOutcome::Committed);
    log.faults().inject(Fault::ForeignOffsetCommit);
    changes(&mut *member);
    assert_eq!(member.committed(at(0, 0)).unwrap().unwrap().offset, 0);
    log.commit_foreign("g", "t", 0, Committed { offset: 1, metadata: "tool".into() }).unwrap();
    assert_eq!(log.committed("g", "t", 0).unwrap().unwrap().metadata, "tool");
}

#[test]
fn an_unknown_outcome_is_pending_until_it_is_settled() {
    let log = MemoryLog::new();
    topic(&log, "in", 1);
    topic(&log, "out", 1);
    let mut member = join(&log, "g", "one", &["in"], &["out"]);
    assigned(&mut *member);
    member.send(record(0, b"pending")).unwrap();
    log.faults().inject(Fault::CommitUnknownDropped);
    let offset = OffsetCommit { partition: at(0, 0), offset: 1, metadata: String::new() };
    assert!(matches!(member.commit(&[offset]), CommitOutcome::Unknown(_)));
    assert!(matches!(member.committed(at(0, 0)), Err(TransportError::Unavailable(_))), "answered while undecided");
    append(&log, "out", &[record(0, b"behind")]);
    assert!(values(&log, "out", 0).is_empty(), "the pending transaction holds nothing back");
    assert!(member.send(record(0, b"too early")).is_err());
    member.settle().unwrap();
    assert_eq!(member.committed(at(0, 0)).unwrap(), None);
    assert_eq!(values(&log, "out", 0), ["behind"]);
}

/// Old records go, as a whole prefix; whoever asks for them is told where the log starts; offsets go on.
fn old_records_go(log: &dyn Transport, trim: &dyn Fn(i64) -> usize) {
    log.ensure_topics(&[TopicSpec { name: "t".into(), partitions: 1, retention: Retention::TimeMs(1_000) }]).unwrap();
    topic(log, "kept", 1);
    let large = vec![b'x'; 100_000];
    for n in 0..10 {
        let aged = Append { timestamp_ms: n * 500, ..record(0, &large) };
        append(log, "t", &[aged]);
        append(log, "kept", &[aged]);
    }
    assert_eq!(trim(3_000), 1);
    let left = read_from(log, "t", 0, 0).unwrap();
    assert_eq!(left.first().unwrap().0, 4, "older than 2,000 are four records");
    assert_eq!(left.len(), 6);
    assert_eq!(read_from(log, "kept", 0, 0).unwrap().len(), 10);
    match read_from(log, "t", 0, 2) {
        Err(TransportError::OffsetOutOfRange { offset: 2, earliest: 4, .. }) => {}
        other => panic!("reading dropped records gave {other:?}"),
    }
    let mut member = join(log, "g", "one", &["t"], &[]);
    assigned(&mut *member);
    assert_eq!(member.earliest(at(0, 0)).unwrap(), 4);
    assert_eq!(trim(1_000_000), 1);
    assert!(read_from(log, "t", 0, 0).unwrap().is_empty());
    append(log, "t", &[record(0, b"new")]);
    assert_eq!(read_from(log, "t", 0, 0).unwrap(), [(10, b"new".to_vec())]);
}

#[test]
fn retention_in_memory() {
    let log = MemoryLog::new();
    old_records_go(&log, &|now_ms| log.trim(now_ms).unwrap());
}

#[test]
fn what_was_read_can_be_dropped_from_memory() {
    let log = MemoryLog::new();
    topic(&log, "t", 1);
    for _ in 0..6 {
        append(&log, "t", &[record(0, &[0; 100_000])]);
    }
    log.drop_below("t", 0, 4).unwrap();
    let left = read_from(&log, "t", 0, 0).unwrap();
    assert_eq!(left.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), [4, 5]);
    let mut open = log.transactions("id", vec!["t".into()]).unwrap();
    open.send(record(0, b"open")).unwrap();
    append(&log, "t", &[record(0, &[0; 100_000])]);
    log.drop_below("t", 0, u64::MAX).unwrap();
    assert!(read_from(&log, "t", 0, 0).unwrap().is_empty());
    assert_eq!(open.commit(), CommitOutcome::Committed);
    assert_eq!(read_from(&log, "t", 0, 0).unwrap().len(), 2, "what was not yet stable was dropped");
}

#[test]
fn retention_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path(), EmbeddedSync::Never, LocalOptions::default()).unwrap();
    old_records_go(&log, &|now_ms| log.trim(now_ms).unwrap());
    drop(log);
    let log = open(directory.path(), EmbeddedSync::Never, LocalOptions::default()).unwrap();
    assert_eq!(read_from(&log, "t", 0, 0).unwrap(), [(10, b"new".to_vec())]);
    assert_eq!(log.trim(1_000_000).unwrap(), 1);
    drop(log);
    let log = open(directory.path(), EmbeddedSync::Never, LocalOptions::default()).unwrap();
    append(&log, "t", &[record(0, b"newer")]);
    assert_eq!(read_from(&log, "t", 0, 0).unwrap(), [(11, b"newer".to_vec())]);
}

#[test]
fn a_directory_belongs_to_one_log_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path(), EmbeddedSync::Never, LocalOptions::default()).unwrap();
    let refused = open(directory.path(), EmbeddedSync::Never, LocalOptions::default()).unwrap_err().to_string();
    assert!(
        refused.contains("in use by another process") && refused.contains(&std::process::id().to_string()),
        "{refused}"
    );
    drop(log);
    open(directory.path(), EmbeddedSync::Never, LocalOptions::default()).unwrap();
}

#[test]
fn a_reader_wakes_for_new_records_and_catches_up_from_disk() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path(), EmbeddedSync::Never, LocalOptions::default()).unwrap();
    topic(&log, "t", 1);
    let mut reader = log.reader("t", 0, 0).unwrap();
    let writer = {
        let log = log.clone();
        std::thread::spawn(move || {
            // More than the log keeps in memory of a partition.
            for n in 0..3_000u32 {
                append(&log, "t", &[record(0, &[n.to_be_bytes().as_slice(), &[0; 700]].concat())]);
            }
        })
    };
    let (mut batch, mut next) = (Batch::new(), 0u32);
    while next < 3_000 {
        reader.poll(Duration::from_secs(60), &mut batch).unwrap();
        assert!(!batch.is_empty(), "woken without a record");
        for found in batch.iter() {
            assert_eq!(found.value[..4], next.to_be_bytes());
            next += 1;
        }
    }
    writer.join().unwrap();
    assert_eq!(read_from(&log, "t", 0, 0).unwrap().len(), 3_000);
}

#[test]
fn faults_of_a_plan_repeat_with_their_seed() {
    let run = |seed| -> Vec<CommitOutcome> {
        let log = MemoryLog::new();
        topic(&log, "t", 1);
        let every = [(Fault::CommitAborted, 200_000), (Fault::CommitFenced, 100_000)];
        log.faults().plan(seed, &every);
        (0..200)
            .map(|_| {
                let mut transactions = log.transactions("id", vec!["t".into()]).unwrap();
                transactions.send(record(0, b"x")).unwrap();
                transactions.commit()
            })
            .collect()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    let bad = run(3).iter().filter(|outcome| **outcome != CommitOutcome::Committed).count();
    assert!((30..90).contains(&bad), "{bad} of 200 commits failed; about 56 should");
}

#[test]
fn a_failed_append_is_reported_and_stores_nothing_or_everything() {
    let log = MemoryLog::new();
    topic(&log, "t", 1);
    for (fault, stored) in [(Fault::AppendFailed, 0), (Fault::AppendStoredButFailed, 1)] {
        log.faults().inject(fault);
        let appender = log.appender(vec!["t".into()]).unwrap();
        let (told, hear) = std::sync::mpsc::channel();
        appender.append(&[record(0, b"x")], Box::new(move |outcome| told.send(outcome).unwrap())).unwrap();
        assert!(matches!(hear.recv().unwrap(), Err(TransportError::Unavailable(_))));
        assert_eq!(values(&log, "t", 0).len(), stored);
    }
}
