//! Workers that copy input to output through every fault: whatever happens, each input record appears in the output exactly once
//! and in order. The workers do what the interface asks of a caller, and nothing more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use millstream_transports::embedded::EmbeddedSync;
use millstream_transports::memory::{MemoryLog, MemorySync};
use millstream_transports::{
    Append, Batch, Change, CommitOutcome, Fault, Faults, LocalOptions, Member, OffsetCommit, TopicPartition, Transport,
    TransportError,
};
use proptest::prelude::*;

use crate::support::{held_clock, join, read_from, topic};

const PARTITIONS: u32 = 4;

const RATES: [(Fault, u32); 8] = [
    (Fault::CommitUnknownApplied, 40_000),
    (Fault::CommitUnknownDropped, 40_000),
    (Fault::CommitAborted, 40_000),
    (Fault::CommitFenced, 20_000),
    (Fault::Rebalance, 20_000),
    (Fault::MembershipLost, 20_000),
    (Fault::AppendFailed, 50_000),
    (Fault::AppendStoredButFailed, 50_000),
];

struct Worker {
    member: Box<dyn Member>,
    /// The next offset of each owned partition, where anything was read since the last commit.
    positions: BTreeMap<TopicPartition, Option<u64>>,
}

/// What the runtime would do: a fenced worker is thrown away, any other failure rewinds to what is committed.
enum Next {
    Go,
    Replace,
}

impl Worker {
    fn join(log: &dyn Transport, name: &str) -> Self {
        Self { member: join(log, "g", name, &["in"], &["out"]), positions: BTreeMap::new() }
    }

    fn rewind(&mut self) -> Result<(), TransportError> {
        for (&at, position) in &mut self.positions {
            let committed = self.member.committed(at)?;
            self.member.seek(at, committed.map_or(0, |committed| committed.offset))?;
            *position = None;
        }
        Ok(())
    }

    fn epoch(&mut self, max_wait: Duration) -> Next {
        match self.try_epoch(max_wait) {
            Ok(next) => next,
            // The log or the membership is gone, or an outcome is pending elsewhere: begin anew.
            Err(TransportError::Fenced(_) | TransportError::Unavailable(_)) => Next::Replace,
            Err(other) => panic!("{other}"),
        }
    }

    fn try_epoch(&mut self, max_wait: Duration) -> Result<Next, TransportError> {
        let (mut batch, mut changes) = (Batch::new(), Vec::new());
        self.member.poll(max_wait, &mut batch, &mut changes)?;
        let changed = !changes.is_empty();
        for change in changes {
            match change {
                Change::Assigned(partitions) => self.positions.extend(partitions.into_iter().map(|at| (at, None))),
                Change::Revoked { partitions, .. } => self.positions.retain(|at, _| !partitions.contains(at)),
            }
        }
        if changed {
            self.rewind()?;
            return Ok(Next::Go);
        }
        for found in batch.iter() {
            let at = TopicPartition { topic: found.topic, partition: found.partition };
            self.member.send(Append {
                topic: 0,
                partition: found.partition,
                timestamp_ms: 0,
                key: b"",
                value: found.value,
            })?;
            self.positions.insert(at, Some(found.offset + 1));
        }
        let read = |(&partition, position): (&TopicPartition, &Option<u64>)| {
            position.map(|offset| OffsetCommit { partition, offset, metadata: String::new() })
        };
        let offsets: Vec<OffsetCommit> = self.positions.iter().filter_map(read).collect();
        if offsets.is_empty() {
            return Ok(Next::Go);
        }
        match self.member.commit(&offsets) {
            CommitOutcome::Committed => self.positions.values_mut().for_each(|position| *position = None),
            CommitOutcome::Aborted(_) => self.rewind()?,
            CommitOutcome::Fenced(_) => return Ok(Next::Replace),
            CommitOutcome::Unknown(_) => {
                self.member.settle()?;
                self.rewind()?;
            }
        }
        Ok(Next::Go)
    }
}

#[derive(Debug, Clone)]
enum Step {
    Produce(u32),
    Epoch(usize),
    Kill(usize),
    Close(usize),
    Start(usize),
    Wait(i64),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..PARTITIONS).prop_map(Step::Produce),
        20 => (0..3usize).prop_map(Step::Epoch),
        1 => (0..3usize).prop_map(Step::Kill),
        1 => (0..3usize).prop_map(Step::Close),
        4 => (0..3usize).prop_map(Step::Start),
        1 => (1i64..20_000).prop_map(Step::Wait),
        1 => Just(Step::Crash),
    ]
}

struct World {
    log: MemoryLog,
    now: Arc<AtomicI64>,
    workers: [Option<Worker>; 3],
    serial: u32,
}

impl World {
    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Produce(partition) => {
                self.serial += 1;
                let value = self.serial.to_string();
                let append = Append { topic: 0, partition, timestamp_ms: 0, key: b"", value: value.as_bytes() };
                // What was refused or failed is simply not there; what the log took is what counts.
                self.log.appender(vec!["in".into()]).unwrap().append(&[append], Box::new(|_| ())).unwrap();
                if self.serial.is_multiple_of(3) {
                    self.log.sync();
                }
            }
            Step::Epoch(n) => {
                if let Some(worker) = &mut self.workers[n]
                    && matches!(worker.epoch(Duration::ZERO), Next::Replace)
                {
                    self.workers[n] = Some(Worker::join(&self.log, &n.to_string()));
                }
            }
            Step::Kill(n) => self.workers[n] = None,
            Step::Close(n) => {
                if let Some(worker) = self.workers[n].take() {
                    worker.member.close().unwrap();
                }
            }
            Step::Start(n) => {
                if self.workers[n].is_none() {
                    self.workers[n] = Some(Worker::join(&self.log, &n.to_string()));
                }
            }
            Step::Wait(ms) => {
                self.now.fetch_add(ms, Ordering::SeqCst);
            }
            Step::Crash => {
                self.log = self.log.crash();
                self.workers = [None, None, None];
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn every_input_is_in_the_output_once_and_in_order(
        steps in prop::collection::vec(step(), 1..300),
        seed in any::<u64>(),
        poll_bytes in prop_oneof![Just(1usize), Just(1 << 20)],
    ) {
        let (clock, now) = held_clock();
        let options = LocalOptions { clock, poll_bytes, ..LocalOptions::default() };
        let log = MemoryLog::with_options(options, MemorySync::OnRequest);
        topic(&log, "in", PARTITIONS);
        topic(&log, "out", PARTITIONS);
        log.faults().plan(seed, &RATES);
        let mut world = World { log, now, workers: [None, None, None], serial: 0 };
        for step in &steps {
            world.apply(step);
        }
        // Calm at last: whoever is left finishes the work.
        world.log.faults().clear();
        world.log.sync();
        world.workers = [None, None, None];
        world.apply(&Step::Wait(60_000));
        world.apply(&Step::Start(0));
        for _ in 0..world.serial + 40 {
            world.apply(&Step::Epoch(0));
        }
        for partition in 0..PARTITIONS {
            let values = |topic: &str| -> Vec<Vec<u8>> {
                read_from(&world.log, topic, partition, 0).unwrap().into_iter().map(|(_, value)| value).collect()
            };
            prop_assert_eq!(values("in"), values("out"), "partition {}", partition);
        }
    }
}

/// The same workers on threads: some are replaced by a member of the same instance id while a commit of theirs is on its way, and
/// faults strike.
fn through_threads_and_usurpers(log: &(dyn Transport + Sync), faults: &Faults) {
    const RECORDS: u32 = 6_000;
    topic(log, "in", PARTITIONS);
    topic(log, "out", PARTITIONS);
    faults.plan(
        11,
        &[
            (Fault::CommitUnknownApplied, 5_000),
            (Fault::CommitUnknownDropped, 5_000),
            (Fault::CommitFenced, 2_000),
            (Fault::Rebalance, 2_000),
            (Fault::MembershipLost, 2_000),
        ],
    );
    let done = || {
        let end = |partition| {
            let last = read_from(log, "in", partition, 0).unwrap().last().map_or(0, |(offset, _)| offset + 1);
            let position = log.committed("g", "in", partition);
            matches!(position, Ok(Some(position)) if position.offset >= last)
        };
        (0..PARTITIONS).all(end)
    };
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for name in ["a", "b", "c"] {
            // Several threads fight for each name, so that memberships end while commits are on their way.
            for _ in 0..4 {
                let stop = &stop;
                scope.spawn(move || {
                    let mut worker = Worker::join(log, name);
                    while !stop.load(Ordering::SeqCst) {
                        if matches!(worker.epoch(Duration::from_millis(5)), Next::Replace) {
                            worker = Worker::join(log, name);
                        }
                    }
                });
            }
        }
        for n in 0..RECORDS / 10 {
            let values: Vec<String> = (0..10).map(|m| (n * 10 + m).to_string()).collect();
            let records: Vec<Append<'_>> = values
                .iter()
                .zip(0u32..)
                .map(|(value, m)| crate::support::record(m % PARTITIONS, value.as_bytes()))
                .collect();
            crate::support::append(log, "in", &records);
        }
        // Long before the limit; it only keeps a mistake from hanging.
        for _ in 0..6_000 {
            if done() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        stop.store(true, Ordering::SeqCst);
    });
    let mut total = 0;
    for partition in 0..PARTITIONS {
        let values = |topic: &str| crate::support::values(log, topic, partition);
        let (input, output) = (values("in"), values("out"));
        total += output.len();
        assert!(input == output, "partition {partition}: {} records in, {} out", input.len(), output.len());
    }
    assert_eq!(total, RECORDS as usize);
}

fn short_sessions() -> LocalOptions {
    LocalOptions { session_timeout_ms: 50, transaction_timeout_ms: 1_000, poll_bytes: 200, ..LocalOptions::default() }
}

#[test]
fn threads_on_the_memory_log() {
    let log = MemoryLog::with_options(short_sessions(), MemorySync::Immediate);
    through_threads_and_usurpers(&log, log.faults());
}

#[test]
fn threads_on_the_embedded_log() {
    let directory = tempfile::tempdir().unwrap();
    let log = crate::support::open(directory.path(), EmbeddedSync::Never, short_sessions()).unwrap();
    through_threads_and_usurpers(&log, log.faults());
}
