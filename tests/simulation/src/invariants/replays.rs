//! Replay: what each task has committed is, byte for byte, what a fresh one writes over its recorded input.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use millstream_runtime::StageFactory;
use millstream_schemas::{Collected, Control, Event, Ledger, Rejected, frame};

use super::{Checked, violation};
use crate::committed::Committed;
use crate::replay::{Written, replay};
use crate::topology;
use crate::watch::Watch;
use crate::world::World;

const INVARIANT: &str = "Replay";

/// A task and what it writes to one partition.
type TaskWrote = (String, Vec<Written>);

/// Topics into one partition of which several tasks write.
const SHARED: [&str; 2] = [Event::TOPIC, Rejected::TOPIC];

pub(super) fn check(world: &World) -> Checked {
    let watch = world.watch.lock();
    let stages: [(Arc<dyn StageFactory>, &'static str); 2] =
        [(topology::ingest(&world.plan), Collected::TOPIC), (topology::profile(&world.plan), Event::TOPIC)];
    // By topic and partition: what each task writes there.
    let mut expected: BTreeMap<(String, u32), Vec<TaskWrote>> = BTreeMap::new();
    for (factory, input) in &stages {
        for partition in 0..world.plan.partitions {
            let task = format!("{}[{partition}]", factory.name());
            for (place, written) in replay(&**factory, partition, watch.partition(input, partition)) {
                expected.entry(place).or_default().push((task.clone(), written));
            }
        }
    }
    let mut outputs = 0;
    let by_stages = |topic: &str| ![Collected::TOPIC, Control::TOPIC, Ledger::TOPIC].contains(&topic);
    for (topic, partition) in watch.topics().filter(|(topic, _)| by_stages(topic)) {
        let nothing = Vec::new();
        let tasks = expected.remove(&(topic.to_owned(), partition)).unwrap_or(nothing);
        outputs += watch.partition(topic, partition).len() as u64;
        if SHARED.contains(&topic) {
            shared(&watch, topic, partition, &tasks)?;
        } else {
            single(&watch, topic, partition, &tasks)?;
        }
    }
    // Ticks are written by the worker, not by a stage: what is left over may not be more than `events.collected`.
    if let Some(((topic, partition), _)) = expected.into_iter().find(|((topic, _), _)| topic != Collected::TOPIC) {
        return Err(violation(INVARIANT, format!("{topic}[{partition}] is written to, and does not exist")));
    }
    world.strikes(|tally| tally.outputs = outputs);
    Ok(())
}

fn as_written(record: &Committed) -> Written {
    (record.timestamp_ms, record.key.clone(), record.value.clone())
}

fn name_of(value: &[u8]) -> String {
    match frame::split(value) {
        Ok((id, _)) => {
            millstream_schemas::by_id(id).map_or_else(|| format!("schema {id}"), |schema| schema.name.to_owned())
        }
        Err(_) => "a tombstone".to_owned(),
    }
}

/// One task writes here: the same records in the same order.
fn single(watch: &Watch, topic: &'static str, partition: u32, tasks: &[TaskWrote]) -> Checked {
    let empty = Vec::new();
    let (task, expected) = match tasks {
        [] => ("nobody", &empty),
        [(task, expected)] => (task.as_str(), expected),
        _ => return Err(violation(INVARIANT, format!("{topic}[{partition}] has {} writers", tasks.len()))),
    };
    let found = watch.partition(topic, partition);
    let same = found.iter().zip(expected).take_while(|(found, expected)| as_written(found) == **expected).count();
    if same == found.len() && same == expected.len() {
        return Ok(());
    }
    let at = found.get(same).map_or_else(|| "its end".to_owned(), |found| format!("offset {}", found.offset));
    let detail = format!(
        "{topic}[{partition}] has {} records, a replay of {task} gives {}; they differ from record {same} on, at {at}",
        found.len(),
        expected.len()
    );
    Err(violation(INVARIANT, detail))
}

/// Several tasks write here: each one's records are there, in its order, once, and nothing else.
fn shared(watch: &Watch, topic: &'static str, partition: u32, tasks: &[TaskWrote]) -> Checked {
    let found: Vec<Written> = watch
        .partition(topic, partition)
        .iter()
        .filter(|record| !matches!(frame::split(&record.value), Ok((Control::ID, _))))
        .map(as_written)
        .collect();
    let mut wanted: Vec<&Written> = tasks.iter().flat_map(|(_, written)| written).collect();
    let mut sorted: Vec<&Written> = found.iter().collect();
    wanted.sort_unstable();
    sorted.sort_unstable();
    if wanted != sorted {
        let (missing, extra) = difference(&wanted, &sorted);
        let names = |records: &[&Written]| {
            records.iter().take(3).map(|record| name_of(&record.2)).collect::<Vec<_>>().join(", ")
        };
        let detail = format!(
            "{topic}[{partition}] has {} records, the replays of its writers give {}; {} missing ({}), {} too many ({})",
            found.len(),
            wanted.len(),
            missing.len(),
            names(&missing),
            extra.len(),
            names(&extra)
        );
        return Err(violation(INVARIANT, detail));
    }
    for (task, written) in tasks {
        let others: BTreeSet<&Written> =
            tasks.iter().filter(|(other, _)| other != task).flat_map(|(_, written)| written).collect();
        let own: BTreeSet<&Written> = written.iter().filter(|record| !others.contains(record)).collect();
        let in_log = found.iter().filter(|record| own.contains(record));
        let in_replay = written.iter().filter(|record| own.contains(record));
        if !in_log.eq(in_replay) {
            return Err(violation(
                INVARIANT,
                format!("{topic}[{partition}] has the records of {task} in another order"),
            ));
        }
    }
    Ok(())
}

/// What is in one sorted list and not in the other, both ways; copies count.
fn difference<'a>(wanted: &[&'a Written], found: &[&'a Written]) -> (Vec<&'a Written>, Vec<&'a Written>) {
    let (mut missing, mut extra) = (Vec::new(), Vec::new());
    let (mut w, mut f) = (0, 0);
    loop {
        match (wanted.get(w), found.get(f)) {
            (None, None) => return (missing, extra),
            (Some(one), Some(other)) if one == other => (w, f) = (w + 1, f + 1),
            (Some(one), other) if other.is_none_or(|other| one < other) => {
                missing.push(*one);
                w += 1;
            }
            (_, Some(other)) => {
                extra.push(*other);
                f += 1;
            }
            (Some(_), None) => return (missing, extra),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_count_copies() {
        let record = |n: i64| (n, Vec::new(), Vec::new());
        let (a, b, c) = (record(1), record(2), record(3));
        let (missing, extra) = difference(&[&a, &a, &b], &[&a, &b, &b, &c]);
        assert_eq!((missing, extra), (vec![&a], vec![&b, &c]));
    }
}
