//! A log that goes away and comes back; a log that lost its beginning.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use millstream_runtime::{Step, Worker, WorkerError};
use millstream_transports::Fault;

use crate::counter::{Counters, TestClock, config, feed, log};

#[test]
fn a_log_that_cannot_be_reached_ends_no_worker() {
    let (memory, transport) = log();
    feed(transport.as_ref(), 0, b"k", b"a");
    let mut worker =
        Worker::new(Arc::clone(&transport), Arc::new(Counters), Arc::new(TestClock::default()), config("w")).unwrap();
    for _ in 0..10 {
        worker.step().unwrap();
    }
    let _others = memory.crash();
    for _ in 0..3_000 {
        assert_eq!(worker.step().unwrap(), Step::Idle);
    }
}

#[test]
fn a_log_without_its_beginning_is_refused() {
    let (memory, transport) = log();
    for _ in 0..4 {
        feed(transport.as_ref(), 0, b"k", &[b'a'; 900_000]);
    }
    let start = || {
        Worker::new(Arc::clone(&transport), Arc::new(Counters), Arc::new(TestClock::default()), config("w")).unwrap()
    };
    let mut worker = start();
    for _ in 0..40 {
        worker.step().unwrap();
    }
    worker.close().unwrap();
    let end = memory.end_offset("in", 0).unwrap();
    memory.drop_below("in", 0, end).unwrap();
    let mut worker = start();
    let error = (0..40).find_map(|_| worker.step().err());
    assert!(matches!(error, Some(WorkerError::Truncated { partition: 0, .. })), "{error:?}");
}

#[test]
fn a_worker_says_where_it_stands_and_that_it_joined_anew() {
    let (memory, transport) = log();
    let mut worker =
        Worker::new(Arc::clone(&transport), Arc::new(Counters), Arc::new(TestClock::default()), config("w")).unwrap();
    let stats = worker.stats();
    let read = |worker: &mut Worker| {
        for _ in 0..20 {
            worker.step().unwrap();
        }
        let [watermark, budget] =
            [stats.watermark_ms.load(Ordering::Relaxed), stats.budget_percent.load(Ordering::Relaxed) as i64];
        (watermark, budget, stats.rejoins.load(Ordering::Relaxed))
    };
    // Two records and two keys in one partition, one in the others.
    for (partition, key) in [(0, b"a"), (0, b"b"), (1, b"a"), (2, b"a")] {
        feed(transport.as_ref(), partition, key, b"x");
    }
    assert_eq!(read(&mut worker), (1, 2, 0), "the lowest watermark, the fullest budget");
    memory.faults().plan(1, &[(Fault::CommitFenced, 1_000_000)]);
    feed(transport.as_ref(), 0, b"a", b"x");
    while stats.rejoins.load(Ordering::Relaxed) == 0 {
        worker.step().unwrap();
    }
    memory.faults().plan(1, &[]);
    assert_eq!(read(&mut worker), (1, 2, 1), "what was undone is read again");
}
