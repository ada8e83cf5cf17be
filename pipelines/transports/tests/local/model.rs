//! Random operations on a local log, compared at every step with a model that is as simple as it can be.

use std::time::Duration;

use millstream_transports::embedded::{EmbeddedLog, EmbeddedSync};
use millstream_transports::memory::{MemoryLog, MemorySync};
use millstream_transports::{
    Append, Batch, CommitOutcome, Fault, Faults, LocalOptions, Reader, Transactions, Transport,
};
use proptest::prelude::*;

use crate::support::{open, topic};

const PARTITIONS: u32 = 2;
const PRODUCERS: usize = 2;

#[derive(Debug, Clone)]
enum Op {
    Append { partition: u32, sizes: Vec<usize> },
    Sync,
    Send { producer: usize, partition: u32, sizes: Vec<usize> },
    Commit { producer: usize },
    CommitUnknown { producer: usize, applied: bool },
    Abort { producer: usize },
    TakeOver { producer: usize },
    Crash,
}

fn op() -> impl Strategy<Value = Op> {
    // Mostly small records; some that fill a segment by themselves.
    let size = prop_oneof![8 => 0usize..200, 1 => Just(70_000usize)];
    let sizes = prop::collection::vec(size, 1..5);
    let (partition, producer) = (0..PARTITIONS, 0..PRODUCERS);
    prop_oneof![
        4 => (partition.clone(), sizes.clone()).prop_map(|(partition, sizes)| Op::Append { partition, sizes }),
        2 => Just(Op::Sync),
        6 => (producer.clone(), partition, sizes).prop_map(|(producer, partition, sizes)| Op::Send { producer, partition, sizes }),
        4 => producer.clone().prop_map(|producer| Op::Commit { producer }),
        1 => (producer.clone(), any::<bool>()).prop_map(|(producer, applied)| Op::CommitUnknown { producer, applied }),
        1 => producer.clone().prop_map(|producer| Op::Abort { producer }),
        1 => producer.prop_map(|producer| Op::TakeOver { producer }),
        1 => Just(Op::Crash),
    ]
}

type Values = Vec<Vec<u8>>;

#[derive(Default, Clone)]
struct ModelPartition {
    next: u64,
    /// Where offsets go on after a restart that remembers records only.
    durable_next: u64,
    records: Vec<(u64, Vec<u8>)>,
    unsynced: Vec<Values>,
    /// Producer and where its transaction began.
    open: Vec<(usize, u64)>,
}

impl ModelPartition {
    fn place(&mut self, values: Values, gap: u64) {
        for value in values {
            self.records.push((self.next, value));
            self.next += 1;
        }
        self.next += gap;
        self.durable_next = self.next;
    }

    fn visible(&self) -> Vec<(u64, Vec<u8>)> {
        let stable = self.open.iter().map(|(_, begin)| *begin).min().unwrap_or(u64::MAX);
        self.records.iter().filter(|(offset, _)| *offset < stable).cloned().collect()
    }
}

#[derive(Default)]
struct Model {
    partitions: Vec<ModelPartition>,
    /// What each producer's open transaction holds for each partition.
    buffers: Vec<Vec<Values>>,
    unsettled: Vec<bool>,
}

impl Model {
    fn sync(&mut self) {
        for partition in &mut self.partitions {
            for values in std::mem::take(&mut partition.unsynced) {
                partition.place(values, 0);
            }
        }
    }

    fn end(&mut self, producer: usize, commit: bool, lost_per_partition: impl Fn(&Values) -> u64) {
        for (partition, values) in self.partitions.iter_mut().zip(&mut self.buffers[producer]) {
            let values = std::mem::take(values);
            if !partition.open.iter().any(|(open, _)| *open == producer) {
                continue;
            }
            if commit {
                partition.place(values, 1);
            } else {
                partition.next += lost_per_partition(&values);
            }
            partition.open.retain(|(open, _)| *open != producer);
        }
    }
}

/// The log, and how it restarts.
enum Tested {
    Memory(MemoryLog),
    Embedded(tempfile::TempDir, Option<EmbeddedLog>),
}

impl Tested {
    fn log(&self) -> &dyn Transport {
        match self {
            Self::Memory(log) => log,
            Self::Embedded(_, log) => log.as_ref().unwrap(),
        }
    }
    fn faults(&self) -> &Faults {
        match self {
            Self::Memory(log) => log.faults(),
            Self::Embedded(_, log) => log.as_ref().unwrap().faults(),
        }
    }
}

fn check(mut tested: Tested, poll_bytes: usize, ops: &[Op]) -> std::result::Result<(), TestCaseError> {
    let waits = matches!(tested, Tested::Embedded(..));
    topic(tested.log(), "t", PARTITIONS);
    let mut model = Model {
        partitions: vec![ModelPartition::default(); PARTITIONS as usize],
        buffers: vec![vec![Vec::new(); PARTITIONS as usize]; PRODUCERS],
        unsettled: vec![false; PRODUCERS],
    };
    let producers = |tested: &Tested| -> Vec<Box<dyn Transactions>> {
        (0..PRODUCERS).map(|n| tested.log().transactions(&format!("p{n}"), vec!["t".into()]).unwrap()).collect()
    };
    let readers = |tested: &Tested, seen: &[Vec<(u64, Vec<u8>)>]| -> Vec<Box<dyn Reader>> {
        let from = |n: u32| seen[n as usize].last().map_or(0, |(offset, _)| offset + 1);
        (0..PARTITIONS).map(|n| tested.log().reader("t", n, from(n)).unwrap()).collect()
    };
    let mut seen: Vec<Vec<(u64, Vec<u8>)>> = vec![Vec::new(); PARTITIONS as usize];
    let mut transactions = producers(&tested);
    let mut following = readers(&tested, &seen);
    let mut serial = 0u64;
    let mut make = |sizes: &[usize]| -> Values {
        let value = |&size: &usize| {
            serial += 1;
            let mut value = serial.to_be_bytes().to_vec();
            value.resize(8 + size, b'.');
            value
        };
        sizes.iter().map(value).collect()
    };
    for op in ops {
        match op {
            Op::Append { partition, sizes } => {
                let values = make(sizes);
                let records: Vec<Append<'_>> = values.iter().map(|v| record(*partition, v)).collect();
                if waits {
                    crate::support::append(tested.log(), "t", &records);
                    model.partitions[*partition as usize].place(values, 0);
                } else {
                    let appender = tested.log().appender(vec!["t".into()]).unwrap();
                    appender.append(&records, Box::new(|_| ())).unwrap();
                    model.partitions[*partition as usize].unsynced.push(values);
                }
            }
            Op::Sync => {
                if let Tested::Memory(log) = &tested {
                    log.sync();
                }
                model.sync();
            }
            Op::Send { producer, partition, sizes } => {
                if model.unsettled[*producer] {
                    prop_assert!(transactions[*producer].send(record(*partition, b"")).is_err());
                    continue;
                }
                let place = &mut model.partitions[*partition as usize];
                if !place.open.iter().any(|(open, _)| open == producer) {
                    place.open.push((*producer, place.next));
                }
                for value in make(sizes) {
                    transactions[*producer].send(record(*partition, &value)).unwrap();
                    model.buffers[*producer][*partition as usize].push(value);
                }
            }
            Op::Commit { producer } if !model.unsettled[*producer] => {
                let writes = model.buffers[*producer].iter().any(|values| !values.is_empty());
                prop_assert_eq!(transactions[*producer].commit(), CommitOutcome::Committed);
                if writes {
                    model.sync();
                }
                model.end(*producer, true, |_| 0);
            }
            Op::CommitUnknown { producer, applied } if !model.unsettled[*producer] => {
                let writes = model.buffers[*producer].iter().any(|values| !values.is_empty());
                tested.faults().inject(if *applied {
                    Fault::CommitUnknownApplied
                } else {
                    Fault::CommitUnknownDropped
                });
                prop_assert!(matches!(transactions[*producer].commit(), CommitOutcome::Unknown(_)));
                model.unsettled[*producer] = true;
                if *applied {
                    if writes {
                        model.sync();
                    }
                    model.end(*producer, true, |_| 0);
                }
            }
            Op::Commit { producer } | Op::CommitUnknown { producer, .. } => {
                prop_assert!(matches!(transactions[*producer].commit(), CommitOutcome::Unknown(_)));
            }
            Op::Abort { producer } if !model.unsettled[*producer] => {
                transactions[*producer].abort().unwrap();
                model.end(*producer, false, |values| values.len() as u64 + 1);
            }
            Op::Abort { producer } => prop_assert!(transactions[*producer].abort().is_err()),
            Op::TakeOver { producer } => {
                transactions[*producer] = tested.log().transactions(&format!("p{producer}"), vec!["t".into()]).unwrap();
                model.end(*producer, false, |_| 1);
                model.unsettled[*producer] = false;
            }
            Op::Crash => {
                transactions.clear();
                following.clear();
                let remembers_gaps = match &mut tested {
                    Tested::Memory(log) => {
                        *log = log.crash();
                        true
                    }
                    Tested::Embedded(directory, log) => {
                        *log = None;
                        let options = LocalOptions { poll_bytes, ..LocalOptions::default() };
                        *log = Some(open(directory.path(), EmbeddedSync::Never, options).unwrap());
                        false
                    }
                };
                for partition in &mut model.partitions {
                    partition.unsynced.clear();
                    partition.next += u64::from(!partition.open.is_empty());
                    if !remembers_gaps {
                        partition.next = partition.durable_next;
                    }
                    partition.open.clear();
                }
                model.buffers = vec![vec![Vec::new(); PARTITIONS as usize]; PRODUCERS];
                model.unsettled = vec![false; PRODUCERS];
                transactions = producers(&tested);
                following = readers(&tested, &seen);
            }
        }
        let mut batch = Batch::new();
        for ((partition, reader), seen) in model.partitions.iter().zip(&mut following).zip(&mut seen) {
            let visible = partition.visible();
            prop_assert_eq!(reader.at_end().unwrap(), seen.len() == visible.len(), "after {:?}", op);
            loop {
                reader.poll(Duration::ZERO, &mut batch).unwrap();
                seen.extend(batch.iter().map(|found| (found.offset, found.value.to_vec())));
                if batch.is_empty() {
                    break;
                }
            }
            let offsets = |records: &[(u64, Vec<u8>)]| records.iter().map(|(offset, _)| *offset).collect::<Vec<_>>();
            prop_assert_eq!(offsets(seen), offsets(&visible), "after {:?}", op);
            prop_assert!(*seen == visible, "values differ after {:?}", op);
            prop_assert!(reader.at_end().unwrap());
        }
    }
    // From the start again, with a reader that has seen nothing.
    for (n, partition) in (0..PARTITIONS).zip(&model.partitions) {
        let found = crate::support::read_from(tested.log(), "t", n, 0).unwrap();
        prop_assert!(found == partition.visible());
    }
    Ok(())
}

fn record(partition: u32, value: &[u8]) -> Append<'_> {
    Append { topic: 0, partition, timestamp_ms: 0, key: b"key", value }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn the_memory_log_does_what_the_model_does(
        ops in prop::collection::vec(op(), 1..80),
        poll_bytes in prop_oneof![Just(1usize), Just(300), Just(1 << 20)],
    ) {
        let options = LocalOptions { poll_bytes, ..LocalOptions::default() };
        check(Tested::Memory(MemoryLog::with_options(options, MemorySync::OnRequest)), poll_bytes, &ops)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn the_embedded_log_does_what_the_model_does(
        ops in prop::collection::vec(op(), 1..60),
        poll_bytes in prop_oneof![Just(300usize), Just(1 << 20)],
    ) {
        let directory = tempfile::tempdir().unwrap();
        let options = LocalOptions { poll_bytes, ..LocalOptions::default() };
        let log = open(directory.path(), EmbeddedSync::Never, options).unwrap();
        check(Tested::Embedded(directory, Some(log)), poll_bytes, &ops)?;
    }
}
