//! Ledgers against the input.

use std::collections::BTreeMap;

use millstream_ledger::decode;
use millstream_runtime::worker::is_stamped;
use millstream_schemas::Ledger;
use millstream_transports::{Result, Transport, Walk};

use crate::report::{Kind, Place, Report, Stand, TaskLine};
use crate::{Scope, Steps};

/// The ledgers' topic.
pub(crate) const TOPIC: &str = Ledger::TOPIC;

/// Count and hash sum of the records of one partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub records: u64,
    pub hashes: u64,
}

impl Sum {
    pub fn add(&mut self, records: u64, hashes: u64) {
        self.records += records;
        self.hashes = self.hashes.wrapping_add(hashes);
    }
}

/// What the ledgers say was written to one partition, and by whom.
#[derive(Debug, Clone, Default)]
pub(crate) struct Noted {
    pub sum: Sum,
    /// Stage and input partition of the writers; with more than one their records lie in no order that ledgers know.
    pub writers: Vec<(String, u32)>,
}

/// One task.
struct Task {
    line: TaskLine,
    /// Offset that the group had committed before the ledger was read; `None` where it never did, or somebody else did.
    committed: Option<u64>,
    is_foreign: bool,
    /// The input, read beside the ledger.
    input: Walk,
    /// The earliest input offset left.
    earliest: u64,
    is_cut: bool,
    differs: bool,
}

impl Task {
    fn place(&self) -> Place {
        let TaskLine { stage, topic, partition, .. } = &self.line;
        Place { stage: Some(stage.clone()), topic: topic.clone(), partition: *partition, ..Place::default() }
    }

    fn differ(&mut self, kind: Kind, what: String, report: &mut Report) {
        self.differs = true;
        report.differ(kind, self.place(), what);
    }
}

/// All ledgers.
pub(crate) struct Books {
    tasks: BTreeMap<(String, String, u32), Task>,
    ledgers: Vec<Ledgers>,
    /// By topic (without prefix) and partition.
    pub noted: BTreeMap<(String, u32), Noted>,
}

/// One partition of the ledgers' topic.
struct Ledgers {
    partition: u32,
    walk: Walk,
    /// The earliest offset left.
    earliest: u64,
}

impl Books {
    /// Opens ledgers and inputs, and notes what is committed now.
    pub fn open(transport: &dyn Transport, scope: &Scope<'_>) -> Result<Self> {
        let mut tasks = BTreeMap::new();
        for (stage, input) in scope.stages {
            let (group, topic) = (scope.topic(stage), scope.topic(input));
            for partition in 0..transport.partition_count(&topic)? {
                let told = transport.committed(&group, &topic, partition)?;
                let committed = told.as_ref().filter(|told| is_stamped(told)).map(|told| told.offset);
                let line = TaskLine {
                    stage: (*stage).to_owned(),
                    topic: (*input).to_owned(),
                    partition,
                    transactions: 0,
                    records: 0,
                    fates: BTreeMap::new(),
                    next: 0,
                    stand: Stand::Equal,
                };
                let task = Task {
                    line,
                    committed,
                    is_foreign: told.is_some() && committed.is_none(),
                    input: Walk::open(transport, &topic, partition)?,
                    earliest: transport.earliest(&topic, partition)?,
                    is_cut: false,
                    differs: false,
                };
                tasks.insert(((*stage).to_owned(), (*input).to_owned(), partition), task);
            }
        }
        let topic = scope.topic(TOPIC);
        let ledgers = (0..transport.partition_count(&topic)?)
            .map(|partition| {
                let walk = Walk::open(transport, &topic, partition)?;
                Ok(Ledgers { partition, walk, earliest: transport.earliest(&topic, partition)? })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { tasks, ledgers, noted: BTreeMap::new() })
    }

    /// Reads all ledgers to their ends, compares them with the input, and sums up what they say was written.
    pub fn read(&mut self, scope: &Scope<'_>, steps: &mut Steps<'_>, report: &mut Report) -> Result<()> {
        for at in 0..self.ledgers.len() {
            steps.at(&format!("ledger[{at}]"));
            self.read_partition(at, scope, report)?;
        }
        for task in self.tasks.values_mut() {
            if let Some(committed) = task.committed.filter(|committed| *committed > task.line.next) {
                let what = format!(
                    "the group has committed up to {committed}, the ledger ends at {}: transactions are not noted",
                    task.line.next
                );
                task.differ(Kind::Missing, what, report);
            }
        }
        Ok(())
    }

    /// Reads on where ledgers have grown since. Returns whether one has.
    pub fn read_on(&mut self, scope: &Scope<'_>, report: &mut Report) -> Result<bool> {
        let mut grown = false;
        for at in 0..self.ledgers.len() {
            grown |= self.read_partition(at, scope, report)?;
        }
        Ok(grown)
    }

    fn read_partition(&mut self, at: usize, scope: &Scope<'_>, report: &mut Report) -> Result<bool> {
        let Self { tasks, ledgers, noted } = self;
        let Some(Ledgers { partition, walk, earliest }) = ledgers.get_mut(at) else { return Ok(false) };
        let (mut read, mut failed) = (false, Ok(()));
        walk.each(u64::MAX, |record| {
            read = true;
            let place = Place {
                topic: TOPIC.to_owned(),
                partition: *partition,
                offset: Some(record.offset),
                ..Place::default()
            };
            match decode(record.value, &scope.deliver.schema_ids) {
                Ok(None) => {}
                Err(error) => report.differ(Kind::Unreadable, place, error.to_string()),
                Ok(Some(note)) => {
                    let number = u32::try_from(note.partition).unwrap_or(u32::MAX);
                    let name = (note.stage.to_owned(), note.topic.to_owned(), number);
                    match tasks.get_mut(&name) {
                        Some(task) => failed = task.take(&note, *earliest > 0, report),
                        None => {
                            let what = format!("{} reads no partition {number} of {}", note.stage, note.topic);
                            report.differ(Kind::Extra, place, what);
                        }
                    }
                    add_outputs(noted, &note, number);
                }
            }
            failed.is_ok()
        })?;
        failed.map(|()| read)
    }

    /// Adds the tasks' lines to the report.
    pub fn finish(self, report: &mut Report) {
        for task in self.tasks.into_values() {
            let stand = if task.differs {
                Stand::Different
            } else if task.is_foreign {
                Stand::EqualInPart("somebody else committed the group's offset; the ledger was followed".to_owned())
            } else if task.is_cut {
                Stand::EqualInPart("retention has removed the beginning".to_owned())
            } else {
                Stand::Equal
            };
            report.tasks.push(TaskLine { stand, ..task.line });
        }
    }
}

fn add_outputs(noted: &mut BTreeMap<(String, u32), Noted>, note: &Ledger<'_>, input_partition: u32) {
    for output in &note.outputs {
        let partition = u32::try_from(output.partition).unwrap_or(u32::MAX);
        let all = noted.entry((output.topic.to_owned(), partition)).or_default();
        all.sum.add(output.records.cast_unsigned(), output.hash_sum.cast_unsigned());
        if !all.writers.iter().any(|(stage, from)| stage == note.stage && *from == input_partition) {
            all.writers.push((note.stage.to_owned(), input_partition));
        }
    }
}

impl Task {
    /// Compares one transaction with the one before it and with the input.
    fn take(&mut self, note: &Ledger<'_>, ledger_is_cut: bool, report: &mut Report) -> Result<()> {
        let (first, next) = (note.first.cast_unsigned(), note.next.cast_unsigned());
        let range = format!("the transaction from {first} to {next}");
        if self.line.transactions == 0 && first > 0 && ledger_is_cut {
            self.is_cut = true;
        } else if first != self.line.next {
            let before = self.line.next;
            let what = if first > before {
                format!("no transaction has noted the offsets {before} to {first}")
            } else {
                format!("{range} begins before the end of the one before it, {before}: records were processed twice")
            };
            self.differ(Kind::Gap, what, report);
        }
        let fates: i64 = note.fates.iter().map(|fate| fate.records).sum();
        if fates != note.records {
            let what = format!("{range} read {} records, and {fates} have a fate", note.records);
            self.differ(Kind::Count, what, report);
        }
        let mut there = 0;
        self.input.each(next, |record| {
            there += i64::from(record.offset >= first);
            true
        })?;
        if first < self.earliest {
            self.is_cut = true;
        } else if there != note.records {
            let what = format!("{range} read {} records, the topic holds {there}", note.records);
            self.differ(Kind::Count, what, report);
        }
        self.line.transactions += 1;
        self.line.records += note.records.cast_unsigned();
        for fate in &note.fates {
            *self.line.fates.entry(fate.name.to_owned()).or_default() += fate.records.cast_unsigned();
        }
        self.line.next = next;
        Ok(())
    }
}
