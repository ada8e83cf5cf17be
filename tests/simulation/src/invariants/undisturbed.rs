//! The same input, through the same stages, with nothing going wrong: the reference of Convergence.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_runtime::{Outputs, Stage, StageFactory};
use millstream_schemas::{Collected, Control, Event, frame};

use crate::committed::Committed;
use crate::plan::Plan;
use crate::topology;
use crate::watch::Watch;

/// Records by topic; partitions one after the other.
pub(super) type Topics = BTreeMap<String, Vec<Committed>>;

/// One task of a stage.
struct Task {
    stage: Box<dyn Stage>,
    partition: u32,
    read: usize,
}

/// Every partition of every topic of the run.
struct Log {
    partitions: BTreeMap<(String, u32), Vec<Committed>>,
}

impl Log {
    fn append(&mut self, topic: &str, partition: u32, timestamp_ms: i64, key: &[u8], value: &[u8]) {
        let records = self.partitions.entry((topic.to_owned(), partition)).or_default();
        let offset = records.len() as u64;
        records.push(Committed { offset, timestamp_ms, key: key.to_vec(), value: value.to_vec() });
    }

    /// Gives a task the next record of its input. False where there is none.
    fn step(&mut self, factory: &dyn StageFactory, input: &str, task: &mut Task, out: &mut Outputs) -> bool {
        let place = (input.to_owned(), task.partition);
        let Some(record) = self.partitions.get(&place).and_then(|records| records.get(task.read)) else { return false };
        task.stage.on_record(record.as_record(task.partition), out);
        task.stage.commit_epoch();
        task.read += 1;
        let names = factory.outputs();
        for append in out.iter() {
            if let Some(topic) = names.get(usize::from(append.topic)) {
                self.append(&topic.name, append.partition, append.timestamp_ms, append.key, append.value);
            }
        }
        out.clear();
        true
    }
}

/// What comes out of the recorded input: settings first, then every event and every tick in the order of their times.
pub(super) fn run(plan: &Plan, watch: &Watch) -> Topics {
    let mut log = Log { partitions: BTreeMap::new() };
    let settings = topology::settings_record(plan);
    for topic in [Collected::TOPIC, Event::TOPIC] {
        (0..plan.partitions).for_each(|partition| log.append(topic, partition, 0, &[], &settings));
    }
    let is_control = |record: &Committed| matches!(frame::split(&record.value), Ok((Control::ID, _)));
    let mut input: Vec<(u32, &Committed)> =
        watch.topic(Collected::TOPIC).filter(|(_, record)| !is_control(record)).collect();
    // Stable: within a partition the recorded order stays, for what a login means depends on it.
    input.sort_by_key(|(_, record)| record.timestamp_ms);
    let ingest: Arc<dyn StageFactory> = topology::ingest(plan);
    let profile: Arc<dyn StageFactory> = topology::profile(plan);
    let tasks = |factory: &Arc<dyn StageFactory>| -> Vec<Task> {
        (0..plan.partitions).map(|partition| Task { stage: factory.make(partition), partition, read: 0 }).collect()
    };
    let mut ingesting = tasks(&ingest);
    let mut profiling = tasks(&profile);
    let mut out = Outputs::new();
    for (partition, record) in input {
        log.append(Collected::TOPIC, partition, record.timestamp_ms, &record.key, &record.value);
        if let Some(task) = ingesting.get_mut(partition as usize) {
            while log.step(&*ingest, Collected::TOPIC, task, &mut out) {}
        }
        // In turns: a task's outputs can be another one's input.
        let mut worked = true;
        while worked {
            worked = false;
            for task in &mut profiling {
                worked |= log.step(&*profile, Event::TOPIC, task, &mut out);
            }
        }
    }
    let mut topics = Topics::new();
    for ((topic, _), records) in log.partitions {
        topics.entry(topic).or_default().extend(records);
    }
    topics
}
