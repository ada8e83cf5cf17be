//! Whatever the log does to a worker, committed outputs are those of one undisturbed run.

use std::sync::Arc;

use millstream_runtime::snapshot::MemorySnapshots;
use millstream_runtime::{EpochLimits, SnapshotSettings, Step, Worker, WorkerConfig};
use millstream_transports::Fault;
use proptest::prelude::*;

use crate::counter::{Counters, PARTITIONS, TestClock, config, feed, log, read, undisturbed};
use crate::ledger;

const FAULTS: [(Fault, u32); 7] = [
    (Fault::CommitUnknownApplied, 60_000),
    (Fault::CommitUnknownDropped, 60_000),
    (Fault::CommitAborted, 80_000),
    (Fault::CommitFenced, 40_000),
    (Fault::Rebalance, 40_000),
    (Fault::MembershipLost, 40_000),
    (Fault::ForeignOffsetCommit, 40_000),
];

#[derive(Debug, Clone)]
enum Action {
    Feed(u32, u8),
    /// A key's last record: its entry goes.
    Forget(u32, u8),
    Step(usize),
    /// The process dies without a word and comes back.
    Crash(usize),
    /// The process leaves in order and comes back.
    Restart(usize),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (0..PARTITIONS, 0..4u8).prop_map(|(partition, key)| Action::Feed(partition, key)),
        1 => (0..PARTITIONS, 0..4u8).prop_map(|(partition, key)| Action::Forget(partition, key)),
        9 => (0..2usize).prop_map(Action::Step),
        1 => (0..2usize).prop_map(Action::Crash),
        1 => (0..2usize).prop_map(Action::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn outputs_are_those_of_an_undisturbed_run(
        seed in any::<u64>(),
        // With one byte an epoch ends after each record that writes, in the middle of a batch.
        max_bytes in prop::sample::select(vec![1, 1 << 20]),
        snapshots_every_ms in prop::option::of(1..40u64),
        actions in prop::collection::vec(action(), 1..160),
    ) {
        let (memory, transport) = log();
        let clock = Arc::new(TestClock::default());
        let store = Arc::new(MemorySnapshots::new());
        let start = |index: usize| {
            let limits = EpochLimits { max_ms: 3, max_bytes };
            let snapshots = snapshots_every_ms.map(|interval_ms| SnapshotSettings {
                interval_ms,
                in_background: false,
                ..SnapshotSettings::new(store.clone())
            });
            let config = WorkerConfig { limits, snapshots, ..config(&format!("w{index}")) };
            Worker::new(Arc::clone(&transport), Arc::new(Counters), clock.clone(), config).unwrap()
        };
        let mut workers = [Some(start(0)), Some(start(1))];
        memory.faults().plan(seed, &FAULTS);
        for action in actions {
            match action {
                Action::Feed(partition, key) => feed(transport.as_ref(), partition, &[key], b"x"),
                Action::Forget(partition, key) => feed(transport.as_ref(), partition, &[key], b"forget"),
                Action::Step(index) => { workers[index].as_mut().unwrap().step().unwrap(); }
                Action::Crash(index) => { workers[index] = None; workers[index] = Some(start(index)); }
                Action::Restart(index) => {
                    workers[index].take().unwrap().close().unwrap();
                    workers[index] = Some(start(index));
                }
            }
        }
        memory.faults().clear();
        let mut idle = 0;
        for _ in 0..2_000 {
            let steps = [0, 1].map(|index: usize| workers[index].as_mut().unwrap().step().unwrap());
            idle = if steps == [Step::Idle; 2] { idle + 1 } else { 0 };
            if idle > 2 { break; }
        }
        prop_assert!(idle > 2, "the workers never came to rest");
        for partition in 0..PARTITIONS {
            prop_assert_eq!(read(transport.as_ref(), "out", partition), undisturbed(transport.as_ref(), partition));
        }
        ledger::balances(transport.as_ref());
    }
}
