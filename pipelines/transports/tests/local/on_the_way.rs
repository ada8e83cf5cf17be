//! A commit that is being made durable counts for whoever asks where to go on: the partition may be somebody else's by then.

use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use millstream_transports::embedded::EmbeddedSync;
use millstream_transports::{Change, CommitOutcome, LocalOptions, Member, OffsetCommit, Transport};

use crate::support::{append, at, held_clock, join, open, record, topic, values};

const PATIENCE: Duration = Duration::from_secs(60);
/// Long enough for an answer that should not come.
const MOMENT: Duration = Duration::from_millis(300);

fn polled(member: &mut dyn Member) -> Vec<Change> {
    let (mut batch, mut changes) = (Default::default(), Vec::new());
    member.poll(Duration::ZERO, &mut batch, &mut changes).unwrap();
    changes
}

#[test]
fn an_offset_on_its_way_is_waited_for() {
    let (clock, now) = held_clock();
    let directory = tempfile::tempdir().unwrap();
    let options = LocalOptions { clock, max_poll_interval_ms: Some(1_000), ..LocalOptions::default() };
    let log = open(directory.path(), EmbeddedSync::Never, options).unwrap();
    topic(&log, "in", 1);
    topic(&log, "out", 1);
    append(&log, "in", &[record(0, b"first")]);
    let mut slow = join(&log, "g", "slow", &["in"], &["out"]);
    assert_eq!(polled(&mut *slow), [Change::Assigned(vec![at(0, 0)])]);
    slow.send(record(0, b"first")).unwrap();

    // The writing thread stands still in a callback, so that a commit takes as long as we like.
    let (held, hear) = mpsc::channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let appender = log.appender(vec!["in".to_owned()]).unwrap();
    let stand_still = Box::new(move |_| {
        held.send(()).unwrap();
        wait.recv_timeout(PATIENCE).unwrap();
    });
    appender.append(&[record(0, b"second")], stand_still).unwrap();
    hear.recv_timeout(PATIENCE).unwrap();
    let committing = std::thread::spawn(move || {
        slow.commit(&[OffsetCommit { partition: at(0, 0), offset: 1, metadata: String::new() }])
    });
    std::thread::sleep(MOMENT);

    // Its membership ends meanwhile, and the partition is somebody else's.
    now.store(999, Ordering::SeqCst);
    let mut other = join(&log, "g", "other", &["in"], &["out"]);
    now.store(1_000, Ordering::SeqCst);
    assert_eq!(polled(&mut *other), [Change::Assigned(vec![at(0, 0)])]);
    let (told, answer) = mpsc::channel();
    let asking = std::thread::spawn(move || told.send(other.committed(at(0, 0)).unwrap()).unwrap());
    assert!(answer.recv_timeout(MOMENT).is_err(), "it was told where to go on before that was known");
    go_on.send(()).unwrap();
    assert_eq!(committing.join().unwrap(), CommitOutcome::Committed);
    assert_eq!(answer.recv_timeout(PATIENCE).unwrap().unwrap().offset, 1);
    asking.join().unwrap();
    assert_eq!(values(&log, "out", 0), ["first"]);
}
