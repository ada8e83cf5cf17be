//! Somebody else commits offsets for the group. Outputs are neither doubled nor left out, and it is told.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use millstream_runtime::{Worker, WorkerError};
use millstream_transports::memory::MemoryLog;
use millstream_transports::{Committed, Transport};

use crate::counter::{Counters, PARTITIONS, TestClock, config, feed, log, read, undisturbed};
use crate::ledger::{balances, notes};

fn start(transport: &Arc<dyn Transport>) -> Worker {
    Worker::new(Arc::clone(transport), Arc::new(Counters), Arc::new(TestClock::default()), config("w")).unwrap()
}

fn steps(worker: &mut Worker) {
    for _ in 0..10 {
        worker.step().unwrap();
    }
}

fn commit_foreign(log: &MemoryLog, offset: u64, metadata: &str) {
    let committed = Committed { offset, metadata: metadata.to_owned() };
    log.commit_foreign("counters", "in", 0, committed).unwrap();
}

fn feed_all(transport: &dyn Transport) {
    for n in 0..5u8 {
        for partition in 0..PARTITIONS {
            feed(transport, partition, &[n % 2], b"x");
        }
    }
}

fn holds(transport: &dyn Transport) {
    for partition in 0..PARTITIONS {
        assert_eq!(read(transport, "out", partition), undisturbed(transport, partition));
    }
    balances(transport);
}

/// Where the group's offset may be put, and with which note.
const FOREIGN: [(u64, &str); 5] = [(0, ""), (2, ""), (99, ""), (2, "millstream/1 5 1"), (5, "reset")];

#[test]
fn while_the_stage_is_stopped() {
    for (offset, note) in FOREIGN {
        let (memory, transport) = log();
        feed_all(transport.as_ref());
        let mut worker = start(&transport);
        steps(&mut worker);
        worker.close().unwrap();
        let ours = memory.committed("counters", "in", 0).unwrap().unwrap();
        assert_eq!((ours.offset, ours.metadata.as_str()), (5, "millstream/1 5 1"));
        commit_foreign(&memory, offset, note);
        feed_all(transport.as_ref());
        let mut worker = start(&transport);
        steps(&mut worker);
        assert_eq!(worker.stats().foreign_commits.load(Ordering::Relaxed), 1, "{offset} {note}");
        holds(transport.as_ref());
        // Its next commit is believed again.
        worker.close().unwrap();
        let mut worker = start(&transport);
        steps(&mut worker);
        assert_eq!(worker.stats().foreign_commits.load(Ordering::Relaxed), 0);
        holds(transport.as_ref());
    }
}

#[test]
fn while_it_runs() {
    for (offset, note) in FOREIGN {
        let (memory, transport) = log();
        feed_all(transport.as_ref());
        let mut worker = start(&transport);
        steps(&mut worker);
        commit_foreign(&memory, offset, note);
        steps(&mut worker);
        feed_all(transport.as_ref());
        steps(&mut worker);
        commit_foreign(&memory, offset, note);
        drop(worker);
        let mut worker = start(&transport);
        steps(&mut worker);
        assert_eq!(worker.stats().foreign_commits.load(Ordering::Relaxed), 1, "{offset} {note}");
        holds(transport.as_ref());
    }
}

#[test]
fn before_it_ever_ran() {
    let (memory, transport) = log();
    feed_all(transport.as_ref());
    commit_foreign(&memory, 3, "");
    let mut worker = start(&transport);
    steps(&mut worker);
    assert_eq!(worker.stats().foreign_commits.load(Ordering::Relaxed), 1);
    holds(transport.as_ref());
    assert_eq!(notes(transport.as_ref(), 0).len(), 1);
}

#[test]
fn a_first_start_doubts_nothing() {
    let (_memory, transport) = log();
    feed_all(transport.as_ref());
    let mut worker = start(&transport);
    steps(&mut worker);
    assert_eq!(worker.stats().foreign_commits.load(Ordering::Relaxed), 0);
    let records = read(transport.as_ref(), "ledger", 0);
    assert!(records.iter().all(|(_, value)| !value.is_empty()), "no probe was left");
}

#[test]
fn without_a_ledger_that_reaches_back_the_stage_stops() {
    let (memory, transport) = log();
    // The ledger's beginning went, and with it all that it had of this task.
    for _ in 0..3 {
        let appender = transport.appender(vec!["ledger".to_owned()]).unwrap();
        let value = vec![b'.'; 1 << 20];
        let record = millstream_transports::Append { topic: 0, partition: 0, timestamp_ms: 0, key: &[], value: &value };
        appender.append(&[record], Box::new(|result| result.unwrap())).unwrap();
    }
    memory.drop_below("ledger", 0, 2).unwrap();
    assert!(read(transport.as_ref(), "ledger", 0).len() < 3, "something went");
    let refused = || {
        let mut worker = start(&transport);
        (0..10).find_map(|_| worker.step().err())
    };
    // Without any offset it could be the first start, or one after the offsets were deleted.
    let failed = refused();
    assert!(matches!(failed, Some(WorkerError::LedgerTruncated { partition: 0, told: 0, .. })), "{failed:?}");
    commit_foreign(&memory, 3, "");
    let failed = refused();
    assert!(matches!(failed, Some(WorkerError::LedgerTruncated { partition: 0, told: 3, .. })), "{failed:?}");
}
