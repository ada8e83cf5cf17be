//! A log that goes away and comes back; a log that lost its beginning.

use std::sync::Arc;

use millstream_runtime::{Step, Worker, WorkerError};

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
