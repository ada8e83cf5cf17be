//! Workers that copy input to output through every fault: whatever happens, each input record appears in the output exactly once
//! and in order. The workers do what the interface asks of a caller, and nothing more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use millstream_transports::memory::{MemoryLog, MemorySync};
use millstream_transports::{
    Append, Batch, Change, CommitOutcome, Fault, LocalOptions, Member, OffsetCommit, TopicPartition, Transport,
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
    fn join(log: &MemoryLog, name: &str) -> Self {
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

    fn epoch(&mut self) -> Next {
        match self.try_epoch() {
            Ok(next) => next,
            // The log or the membership is gone, or an outcome is pending elsewhere: begin anew.
            Err(TransportError::Fenced(_) | TransportError::Unavailable(_)) => Next::Replace,
            Err(other) => panic!("{other}"),
        }
    }

    fn try_epoch(&mut self) -> Result<Next, TransportError> {
        let (mut batch, mut changes) = (Batch::new(), Vec::new());
        self.member.poll(Duration::ZERO, &mut batch, &mut changes)?;
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
                    && matches!(worker.epoch(), Next::Replace)
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
