//! Standbys: state kept warm for partitions that others own.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use millstream_runtime::snapshot::MemorySnapshots;
use millstream_runtime::{SnapshotSettings, StandbyKeeper, Standbys, Worker, WorkerConfig};
use millstream_transports::Transport;

use crate::counter::{Counters, PARTITIONS, TestClock, config, feed, log, read, undisturbed};

#[test]
fn a_warm_standby_takes_over_with_nothing_to_replay() {
    let (_memory, transport) = log();
    let store = MemorySnapshots::new();
    let clock = Arc::new(TestClock::default());
    let standbys = Arc::new(Standbys::new());
    let start = |name: &str, standbys: Option<Arc<Standbys>>| {
        let snapshots = SnapshotSettings {
            interval_ms: 20,
            in_background: false,
            ..SnapshotSettings::new(Arc::new(store.clone()))
        };
        let config = WorkerConfig { snapshots: Some(snapshots), standbys, ..config(name) };
        Worker::new(Arc::clone(&transport), Arc::new(Counters), clock.clone(), config).unwrap()
    };
    let mut keeper = StandbyKeeper::new(
        Arc::clone(&transport),
        Arc::new(Counters),
        Arc::new(store.clone()),
        String::new(),
        Arc::clone(&standbys),
    );
    let mut fed = 0u8;
    let mut busy = |worker: &mut Worker, keeper: &mut StandbyKeeper, transport: &dyn Transport| {
        for _ in 0..60 {
            fed = fed.wrapping_add(1);
            // Some are poison: a standby must divert them as the worker does.
            let value: &[u8] = match fed % 20 {
                7 => b"forget",
                13 => b"poison",
                _ => b"x",
            };
            feed(transport, u32::from(fed) % PARTITIONS, &[fed % 5], value);
            worker.step().unwrap();
            if fed.is_multiple_of(3) {
                keeper.round();
            }
        }
        for _ in 0..6 {
            worker.step().unwrap();
        }
        keeper.round();
        keeper.round()
    };
    let mut first = start("first", None);
    assert_eq!(busy(&mut first, &mut keeper, transport.as_ref()), u64::from(PARTITIONS));
    first.close().unwrap();
    let mut second = start("second", Some(Arc::clone(&standbys)));
    for _ in 0..6 {
        second.step().unwrap();
    }
    assert_eq!(second.stats().taken_warm.load(Ordering::Relaxed), u64::from(PARTITIONS));
    assert_eq!(second.stats().replayed.load(Ordering::Relaxed), 0);
    assert_eq!(busy(&mut second, &mut keeper, transport.as_ref()), 0, "what is owned here is not kept beside");
    // What a warm start wrote can be recovered from.
    drop(second);
    let mut third = start("second", None);
    for _ in 0..6 {
        third.step().unwrap();
    }
    assert_eq!(third.stats().restored.load(Ordering::Relaxed), u64::from(PARTITIONS));
    busy(&mut third, &mut keeper, transport.as_ref());
    for partition in 0..PARTITIONS {
        let (written, expected) =
            (read(transport.as_ref(), "out", partition), undisturbed(transport.as_ref(), partition));
        assert!(!expected.is_empty());
        assert_eq!(written, expected);
    }
}
