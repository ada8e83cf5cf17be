//! Both promises, on what real processes left behind.
//!
//! *Replay*: each task alone, a stage without runtime or broker, over its recorded input; what it writes must be, byte for byte and in
//! its order, what is committed. *Convergence*: all stages together over the recorded `events.collected`, with nobody disturbing them;
//! the current rows must be the same.

use std::collections::{BTreeMap, VecDeque};

use millstream_runtime::{Outputs, Stage, StageFactory};
use millstream_schemas::Control;
use millstream_transports::RecordRef;

use super::recorded::{Recorded, schema_of};
use crate::topology::{COLLECTED, Committed, factories};

/// Topics that are not compared by replay: where ticks go, and the ledger, whose notes follow the epochs.
const NOT_REPLAYED: [&str; 2] = [COLLECTED, "ledger"];
/// The input of profile tasks, and an output of both stages.
const EVENTS: &str = "events";

/// A record as a task wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Written {
    timestamp_ms: i64,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Written {
    fn is(&self, committed: &Committed) -> bool {
        self.timestamp_ms == committed.timestamp_ms && self.key == committed.key && self.value == committed.value
    }
}

/// What one task wrote, by topic and partition.
type Outcome = BTreeMap<(String, u32), Vec<Written>>;

/// A stage that is fed by hand.
struct Task {
    stage: Box<dyn Stage>,
    outputs: Vec<String>,
    partition: u32,
    out: Outputs,
}

impl Task {
    fn new(factory: &dyn StageFactory, partition: u32) -> Self {
        let outputs = factory.outputs().into_iter().map(|topic| topic.name).collect();
        Self { stage: factory.make(partition), outputs, partition, out: Outputs::new() }
    }

    /// Feeds one record and hands on what it causes.
    fn feed(
        &mut self,
        offset: u64,
        timestamp_ms: i64,
        key: &[u8],
        value: &[u8],
        mut each: impl FnMut(&str, u32, Written),
    ) {
        let partition = self.partition;
        self.stage.on_record(RecordRef { topic: 0, partition, offset, timestamp_ms, key, value }, &mut self.out);
        self.stage.commit_epoch();
        for append in self.out.iter() {
            let written =
                Written { timestamp_ms: append.timestamp_ms, key: append.key.to_vec(), value: append.value.to_vec() };
            each(&self.outputs[usize::from(append.topic)], append.partition, written);
        }
        self.out.clear();
    }
}

/// How a replay compares.
#[derive(Debug)]
pub struct Replayed {
    /// Records compared.
    pub records: usize,
    /// What differs, in words.
    pub differences: Vec<String>,
}

/// Replays every task and compares every partition that they write.
pub fn replay(recorded: &Recorded) -> Replayed {
    let (ingest, profile) = factories(recorded.partitions);
    let mut by_task: Vec<(String, Outcome)> = Vec::new();
    let stages: [(&dyn StageFactory, &str); 2] = [(&ingest, COLLECTED), (&profile, EVENTS)];
    for (factory, input) in stages {
        for partition in 0..recorded.partitions {
            let mut task = Task::new(factory, partition);
            let mut outcome = Outcome::new();
            for record in recorded.of(input, partition) {
                task.feed(
                    record.offset,
                    record.timestamp_ms,
                    &record.key,
                    &record.value,
                    |topic, partition, written| {
                        outcome.entry((topic.to_owned(), partition)).or_default().push(written);
                    },
                );
            }
            by_task.push((format!("{}[{partition}]", factory.name()), outcome));
        }
    }
    let mut topics: Vec<String> =
        stages.iter().flat_map(|(factory, _)| factory.outputs()).map(|topic| topic.name).collect();
    topics.sort_unstable();
    topics.dedup();
    topics.retain(|topic| !NOT_REPLAYED.contains(&topic.as_str()));
    let mut all = Replayed { records: 0, differences: Vec::new() };
    for topic in topics {
        for partition in 0..recorded.partitions {
            compare(recorded, &by_task, &topic, partition, &mut all);
        }
    }
    all
}

fn compare(recorded: &Recorded, by_task: &[(String, Outcome)], topic: &str, partition: u32, all: &mut Replayed) {
    let place = (topic.to_owned(), partition);
    let writers: Vec<(&str, &[Written])> =
        by_task.iter().filter_map(|(task, outcome)| Some((task.as_str(), outcome.get(&place)?.as_slice()))).collect();
    // The sequencer's copies are input, not output.
    let is_output = |record: &&Committed| schema_of(&record.value) != Some(Control::ID);
    let committed: Vec<&Committed> = recorded.of(topic, partition).iter().filter(is_output).collect();
    all.records += committed.len();
    all.differences.extend(first_difference(&committed, writers).map(|what| format!("{topic}[{partition}]: {what}")));
}

/// A partition must be an interleaving of what its writers wrote: every record of each, in each one's order, and no other.
fn first_difference(committed: &[&Committed], mut writers: Vec<(&str, &[Written])>) -> Option<String> {
    for record in committed {
        let next = writers.iter_mut().find(|(_, rest)| rest.first().is_some_and(|next| next.is(record)));
        let Some((_, rest)) = next else {
            let left: Vec<String> =
                writers.iter().map(|(task, rest)| format!("{task} has {} left", rest.len())).collect();
            return Some(format!(
                "offset {} ({} bytes) is what no task writes next; {}",
                record.offset,
                record.value.len(),
                left.join(", ")
            ));
        };
        *rest = &rest[1..];
    }
    let (task, rest) = writers.into_iter().find(|(_, rest)| !rest.is_empty())?;
    Some(format!("{} records of {task} are not there", rest.len()))
}

/// The values that an undisturbed run writes to each topic, by topic.
pub type Undisturbed = BTreeMap<String, Vec<Vec<u8>>>;

/// Runs both stages over the recorded `events.collected`, one record after the other as they were received, each followed through to
/// its end.
pub fn undisturbed(recorded: &Recorded) -> Undisturbed {
    let (ingest, profile) = factories(recorded.partitions);
    let mut run = Run {
        ingest: (0..recorded.partitions).map(|partition| Task::new(&ingest, partition)).collect(),
        profile: (0..recorded.partitions).map(|partition| (Task::new(&profile, partition), 0)).collect(),
        waiting: VecDeque::new(),
        written: Undisturbed::new(),
    };
    // Settings come first, as they did.
    for (partition, record) in recorded.topic(EVENTS) {
        if schema_of(&record.value) == Some(Control::ID) {
            let Committed { timestamp_ms, key, value, .. } = record.clone();
            run.waiting.push_back((partition, Written { timestamp_ms, key, value }));
        }
    }
    run.follow();
    let mut input: Vec<(u32, &Committed)> = recorded.topic(COLLECTED).collect();
    // Within a partition its own order, whatever its times say.
    let mut latest_ms = BTreeMap::new();
    let mut timed: Vec<(i64, u32, &Committed)> = Vec::with_capacity(input.len());
    for (partition, record) in input.drain(..) {
        let time_ms = latest_ms.entry(partition).or_insert(i64::MIN);
        *time_ms = record.timestamp_ms.max(*time_ms);
        timed.push((*time_ms, partition, record));
    }
    timed.sort_by_key(|(time_ms, partition, record)| (*time_ms, *partition, record.offset));
    for (_, partition, record) in timed {
        run.collected(partition, record);
        run.follow();
    }
    run.written
}

struct Run {
    ingest: Vec<Task>,
    /// Each with its next offset.
    profile: Vec<(Task, u64)>,
    /// What is in `events` and not yet processed.
    waiting: VecDeque<(u32, Written)>,
    written: Undisturbed,
}

impl Run {
    fn collected(&mut self, partition: u32, record: &Committed) {
        let Self { ingest, waiting, written, .. } = self;
        ingest[partition as usize].feed(
            record.offset,
            record.timestamp_ms,
            &record.key,
            &record.value,
            |topic, at, one| {
                note(written, waiting, topic, at, one);
            },
        );
    }

    fn follow(&mut self) {
        while let Some((partition, record)) = self.waiting.pop_front() {
            let Self { profile, waiting, written, .. } = self;
            let (task, offset) = &mut profile[partition as usize];
            task.feed(*offset, record.timestamp_ms, &record.key, &record.value, |topic, at, one| {
                note(written, waiting, topic, at, one);
            });
            *offset += 1;
        }
    }
}

fn note(written: &mut Undisturbed, waiting: &mut VecDeque<(u32, Written)>, topic: &str, partition: u32, one: Written) {
    written.entry(topic.to_owned()).or_default().push(one.value.clone());
    if topic == EVENTS {
        waiting.push_back((partition, one));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed(values: &[&str]) -> Vec<Committed> {
        let record = |(offset, value): (usize, &&str)| Committed {
            offset: offset as u64,
            timestamp_ms: 7,
            key: Vec::new(),
            value: value.as_bytes().to_vec(),
        };
        values.iter().enumerate().map(record).collect()
    }

    fn written(values: &[&str]) -> Vec<Written> {
        values
            .iter()
            .map(|value| Written { timestamp_ms: 7, key: Vec::new(), value: value.as_bytes().to_vec() })
            .collect()
    }

    fn difference(log: &[&str]) -> Option<String> {
        let (one, other) = (written(&["a1", "a2", "a3"]), written(&["b1", "b2"]));
        let log = committed(log);
        first_difference(&log.iter().collect::<Vec<_>>(), vec![("a", &one), ("b", &other)])
    }

    #[test]
    fn any_interleaving_is_equal_and_nothing_else() {
        assert_eq!(difference(&["a1", "b1", "a2", "b2", "a3"]), None);
        assert_eq!(difference(&["b1", "b2", "a1", "a2", "a3"]), None);
        assert!(difference(&["a1", "b1", "a2", "b2"]).unwrap().contains("1 records of a are not there"));
        // Twice, out of order, left out in the middle, somebody else's.
        for log in [
            &["a1", "a1", "a2", "a3", "b1", "b2"],
            &["a2", "a1", "a3", "b1", "b2", "x"],
            &["a1", "x", "a2", "a3", "b1", "b2"],
        ] {
            assert!(difference(log).unwrap().contains("is what no task writes next"), "{log:?}");
        }
        assert!(difference(&["a1", "a3", "b1", "b2"]).unwrap().contains("offset 1"));
    }

    #[test]
    fn a_record_of_another_time_is_another_record() {
        let mut log = committed(&["a1"]);
        log[0].timestamp_ms = 8;
        let one = written(&["a1"]);
        assert!(first_difference(&[&log[0]], vec![("a", &one)]).is_some());
    }
}
