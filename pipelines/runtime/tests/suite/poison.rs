//! A record on which the stage panics is diverted, and nothing else changes; a burst stops the partition.

use std::sync::Arc;

use millstream_runtime::{Worker, WorkerError};

use crate::counter::{Counters, TestClock, config, feed, log, read, undisturbed};

#[test]
fn a_poison_record_is_diverted_with_its_bytes() {
    let (_memory, transport) = log();
    for value in [b"a".as_slice(), b"poison", b"b", b"c"] {
        feed(transport.as_ref(), 0, b"k", value);
    }
    let mut worker =
        Worker::new(Arc::clone(&transport), Arc::new(Counters), Arc::new(TestClock::default()), config("w")).unwrap();
    for _ in 0..40 {
        worker.step().unwrap();
    }
    assert_eq!(read(transport.as_ref(), "diverted", 0), [(b"k".to_vec(), b"poison".to_vec())]);
    assert_eq!(read(transport.as_ref(), "out", 0), undisturbed(transport.as_ref(), 0));
}

#[test]
fn a_burst_of_them_stops_the_partition() {
    let (_memory, transport) = log();
    for _ in 0..20 {
        feed(transport.as_ref(), 1, b"k", b"poison");
    }
    let mut worker =
        Worker::new(Arc::clone(&transport), Arc::new(Counters), Arc::new(TestClock::default()), config("w")).unwrap();
    let error = (0..400).find_map(|_| worker.step().err()).expect("the worker should have stopped");
    let WorkerError::PoisonBurst { partition, count, .. } = error else { panic!("{error}") };
    assert_eq!((partition, count), (1, 11));
}

#[test]
fn a_trickle_of_nothing_but_poison_stops_it_too() {
    let (_memory, transport) = log();
    let mut worker =
        Worker::new(Arc::clone(&transport), Arc::new(Counters), Arc::new(TestClock::default()), config("w")).unwrap();
    let stopped = (0..20).find_map(|_| {
        feed(transport.as_ref(), 1, b"k", b"poison");
        (0..12).find_map(|_| worker.step().err())
    });
    assert!(matches!(stopped, Some(WorkerError::PoisonBurst { count: 11, .. })), "{stopped:?}");

    // A good record now and then: poison pills, not a bad deploy.
    let (_memory, transport) = log();
    let mut worker =
        Worker::new(Arc::clone(&transport), Arc::new(Counters), Arc::new(TestClock::default()), config("w")).unwrap();
    for _ in 0..15 {
        feed(transport.as_ref(), 1, b"k", b"poison");
        feed(transport.as_ref(), 1, b"k", b"good");
        (0..12).for_each(|_| _ = worker.step().unwrap());
    }
    assert_eq!(read(transport.as_ref(), "diverted", 1).len(), 15);
}
