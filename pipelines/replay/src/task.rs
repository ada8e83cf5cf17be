//! *Replay*: one task over its recorded input, compared with its ledger transaction by transaction.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use millstream_ledger::decode;
use millstream_runtime::snapshot::names::number_of;
use millstream_runtime::snapshot::recovery::{Unusable, restore};
use millstream_runtime::snapshot::{Manifest, SnapshotStore, TaskName};
use millstream_runtime::{ReplayStep, ReplayedTask, Stage, StageFactory};
use millstream_schemas::{Ledger, SchemaIds};
use millstream_transports::{TopicPartition, Transport, record_hash};

use crate::ReplayError;
use crate::reading::{Next, read};

/// Differences that are kept; all are counted.
const SHOWN: usize = 20;

/// Which state a replay begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The oldest snapshot that is kept.
    Oldest,
    /// The newest snapshot written at or before this time, milliseconds since the epoch.
    WrittenBy(i64),
    /// The snapshot of this number.
    Number(u64),
    /// No state: the log's beginning.
    Beginning,
}

/// What a replay is made with.
pub struct Setting<'a> {
    /// The log.
    pub transport: &'a dyn Transport,
    /// Where snapshots are.
    pub store: &'a dyn SnapshotStore,
    /// Prefix of topics and groups.
    pub namespace: &'a str,
    /// Schema ids on the wire.
    pub ids: &'a SchemaIds,
}

/// Count and hash sum of what was written to one partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// Records.
    pub records: u64,
    /// Sum of their hashes modulo 2⁶⁴.
    pub hashes: u64,
}

/// One transaction that gave something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Input offsets of the transaction: from, to (exclusive).
    pub input: (u64, u64),
    /// Output topic and partition.
    pub output: (String, u32),
    /// What the ledger says was written.
    pub written: Sum,
    /// What the stage gives now.
    pub replayed: Sum,
}

/// What came of a replay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskReplay {
    /// Where the state came from, in words.
    pub from: String,
    /// The first offset replayed.
    pub start: u64,
    /// The offset after the last one replayed.
    pub end: u64,
    /// Transactions compared.
    pub transactions: u64,
    /// Input records processed.
    pub records: u64,
    /// Output records compared.
    pub outputs: u64,
    /// Output partitions of transactions that differ.
    pub different: u64,
    /// The first of them.
    pub differences: Vec<Difference>,
}

/// One transaction of the ledger.
#[derive(Debug)]
struct Noted {
    first: u64,
    next: u64,
    outputs: BTreeMap<(String, u32), Sum>,
}

/// Runs one task again from a kept state to the end of its ledger.
///
/// # Errors
/// Where log or store fail, or there is no state to begin with. Differences are no error.
pub fn replay(
    setting: &Setting<'_>,
    factory: &Arc<dyn StageFactory>,
    partition: u32,
    from: From,
    mut progress: impl FnMut(u64, u64),
) -> Result<TaskReplay, ReplayError> {
    let input = factory.inputs().into_iter().next().map(|topic| topic.name).unwrap_or_default();
    let task = format!("{}[{partition}]", factory.name());
    let (stage, start, described) = begin(setting, factory, &input, partition, from)?;
    let mut ledger = read_ledger(setting, factory.name(), &input, partition, start)?;
    let end = ledger.back().map_or(start, |noted| noted.next);
    let outputs: Vec<String> = factory.outputs().into_iter().map(|topic| topic.name).collect();
    let mut result = TaskReplay { from: described, start, end, ..TaskReplay::default() };
    let mut replayed = ReplayedTask::new(TopicPartition { topic: 0, partition }, stage, start);
    let topic = format!("{}{input}", setting.namespace);
    let mut position = start;
    let mut in_transaction = 0;
    while !ledger.is_empty() {
        let mut again = None;
        read(setting.transport, &topic, partition, position, end, |record| {
            while let Some(noted) = ledger.front().filter(|noted| record.offset >= noted.next) {
                compare(noted, &mut replayed, &outputs, &mut result);
                result.records += std::mem::take(&mut in_transaction);
                ledger.pop_front();
                progress(record.offset - start, end - start);
            }
            match replayed.process(record) {
                ReplayStep::Taken => in_transaction += 1,
                ReplayStep::Again(offset) => {
                    again = Some(offset);
                    return Ok(Next::Stop);
                }
            }
            match replayed.blocked() {
                Some(why) => Err(ReplayError::Blocked { task: task.clone(), offset: record.offset, why }),
                None => Ok(Next::On),
            }
        })?;
        if let Some(offset) = again {
            position = offset;
            in_transaction = 0;
            continue;
        }
        // The input ends here: what is left of the ledger ends with it.
        for noted in std::mem::take(&mut ledger) {
            compare(&noted, &mut replayed, &outputs, &mut result);
        }
        result.records += std::mem::take(&mut in_transaction);
    }
    progress(end - start, end - start);
    Ok(result)
}

/// Ends the transaction that `noted` tells of and compares what it wrote.
fn compare(noted: &Noted, replayed: &mut ReplayedTask, outputs: &[String], result: &mut TaskReplay) {
    let mut sums: BTreeMap<(String, u32), Sum> = BTreeMap::new();
    let mut room = Vec::new();
    replayed.end_transaction(|append| {
        let topic = outputs.get(usize::from(append.topic)).cloned().unwrap_or_default();
        let sum = sums.entry((topic, append.partition)).or_default();
        sum.records += 1;
        sum.hashes = sum.hashes.wrapping_add(record_hash(append.timestamp_ms, append.key, append.value, &mut room));
    });
    result.transactions += 1;
    result.outputs += sums.values().map(|sum| sum.records).sum::<u64>();
    let places = sums.keys().chain(noted.outputs.keys()).collect::<std::collections::BTreeSet<_>>();
    for output in places {
        let written = noted.outputs.get(output).copied().unwrap_or_default();
        let replayed = sums.get(output).copied().unwrap_or_default();
        if written != replayed {
            result.different += 1;
            if result.differences.len() < SHOWN {
                let input = (noted.first, noted.next);
                result.differences.push(Difference { input, output: output.clone(), written, replayed });
            }
        }
    }
}

/// The stage to begin with, its offset, and where it came from.
fn begin(
    setting: &Setting<'_>,
    factory: &Arc<dyn StageFactory>,
    input: &str,
    partition: u32,
    from: From,
) -> Result<(Box<dyn Stage>, u64, String), ReplayError> {
    let topic = format!("{}{input}", setting.namespace);
    let earliest = setting.transport.earliest(&topic, partition)?;
    let name = TaskName { group: format!("{}{}", setting.namespace, factory.name()), partition };
    let beginning = |stage: Box<dyn Stage>| (stage, 0, "the log's beginning".to_owned());
    if from == From::Beginning {
        if earliest > 0 {
            return Err(ReplayError::NoStart { task: name.to_string(), earliest });
        }
        return Ok(beginning(factory.make(partition)));
    }
    let topic_id = setting.transport.topic_id(&topic)?;
    let mut fitting: Vec<(String, Manifest)> = Vec::new();
    // Oldest first.
    for object in setting.store.list(&name.manifests())? {
        let manifest = match Manifest::decode(&setting.store.get(&object)?) {
            Ok(manifest) => manifest,
            Err(why) if from == From::Number(number_of(&object).unwrap_or(0)) => {
                return Err(ReplayError::Snapshot { name: object, why: Unusable::Manifest(why) });
            }
            Err(_) => continue,
        };
        if manifest.topic_id != topic_id || manifest.offset < earliest {
            continue;
        }
        let is_wanted = match from {
            From::Oldest => true,
            From::WrittenBy(time_ms) => manifest.written_at_ms <= time_ms,
            From::Number(number) => manifest.number == number,
            From::Beginning => false,
        };
        if is_wanted {
            fitting.push((object, manifest));
        }
    }
    if matches!(from, From::WrittenBy(_)) {
        fitting.reverse();
    }
    let mut unusable = None;
    for (object, manifest) in fitting {
        match restored(setting, factory, partition, object, &manifest) {
            // Recovery goes by it, too; the next one is as good to begin with.
            Err(error @ ReplayError::Snapshot { .. }) if !matches!(from, From::Number(_)) => unusable = Some(error),
            ended => return ended,
        }
    }
    // Before the first snapshot there is the log, as long as its beginning is kept.
    match unusable {
        _ if earliest == 0 && !matches!(from, From::Number(_)) => Ok(beginning(factory.make(partition))),
        Some(error) => Err(error),
        None => Err(ReplayError::NoStart { task: name.to_string(), earliest }),
    }
}

/// A stage with this snapshot's state, its offset, and where it came from.
fn restored(
    setting: &Setting<'_>,
    factory: &Arc<dyn StageFactory>,
    partition: u32,
    object: String,
    manifest: &Manifest,
) -> Result<(Box<dyn Stage>, u64, String), ReplayError> {
    let (theirs, ours) = (manifest.logic_version, factory.logic_version());
    if theirs != ours {
        return Err(ReplayError::OtherLogic { name: object, theirs, ours });
    }
    let mut stage = factory.make(partition);
    let why = match stage.snapshots() {
        Some(state) => {
            state.track();
            restore(setting.store, manifest, state).err()
        }
        None => Some(Unusable::OtherInput(manifest.stage.clone())),
    };
    match why {
        Some(why) => Err(ReplayError::Snapshot { name: object, why }),
        None => {
            let described = format!("snapshot {} of offset {}", manifest.number, manifest.offset);
            Ok((stage, manifest.offset, described))
        }
    }
}

/// The transactions of a task from `start` on.
fn read_ledger(
    setting: &Setting<'_>,
    stage: &str,
    input: &str,
    partition: u32,
    start: u64,
) -> Result<VecDeque<Noted>, ReplayError> {
    let topic = format!("{}{}", setting.namespace, Ledger::TOPIC);
    let mut noted = VecDeque::new();
    read(setting.transport, &topic, partition, 0, u64::MAX, |record| {
        let unreadable =
            |detail: String| ReplayError::Unreadable { topic: topic.clone(), partition, offset: record.offset, detail };
        let entry = decode(record.value, setting.ids).map_err(|error| unreadable(error.to_string()))?;
        let Some(entry) = entry else { return Ok(Next::On) };
        let number = |value: i64| u64::try_from(value).unwrap_or(0);
        let is_ours =
            entry.stage == stage && entry.topic == input && i64::from(entry.partition) == i64::from(partition);
        if is_ours && number(entry.next) > start {
            let outputs = entry.outputs.iter().map(|output| {
                let sum = Sum { records: number(output.records), hashes: output.hash_sum.cast_unsigned() };
                ((output.topic.to_owned(), u32::try_from(output.partition).unwrap_or(0)), sum)
            });
            noted.push_back(Noted { first: number(entry.first), next: number(entry.next), outputs: outputs.collect() });
        }
        Ok(Next::On)
    })?;
    Ok(noted)
}
