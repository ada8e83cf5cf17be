//! The ledger: its notes follow one another without gap or overlap, and add up to what is in the topics.

use std::collections::BTreeMap;

use millstream_schemas::{Collected, Control, Event, Ledger, Rejected, Tick, frame};
use millstream_transports::record_hash;

use super::{Checked, violation};
use crate::world::World;

const INVARIANT: &str = "the ledger adds up";

/// Records and the sum of their hashes.
type Sum = (i64, i64);

pub(super) fn check(world: &World) -> Checked {
    let watch = world.watch.lock();
    let mut noted: BTreeMap<(String, i32), Sum> = BTreeMap::new();
    let mut next: BTreeMap<(String, i32), i64> = BTreeMap::new();
    for (partition, record) in watch.topic(Ledger::TOPIC) {
        // A probe has no value.
        let Ok((Ledger::ID, body)) = frame::split(&record.value) else { continue };
        let wrong = |why: String| violation(INVARIANT, format!("ledger[{partition}], offset {}: {why}", record.offset));
        let note = Ledger::decode(body).map_err(|error| wrong(error.to_string()))?;
        let next = next.entry((note.stage.to_owned(), note.partition)).or_default();
        if note.first != *next {
            let (stage, first) = (note.stage, note.first);
            return Err(wrong(format!(
                "{stage}[{}] goes on at {first}, its last note ended at {next}",
                note.partition
            )));
        }
        *next = note.next;
        let fates: i64 = note.fates.iter().map(|fate| fate.records).sum();
        if fates != note.records {
            return Err(wrong(format!("{} records have {fates} fates", note.records)));
        }
        for output in &note.outputs {
            let (records, hash_sum) = noted.entry((output.topic.to_owned(), output.partition)).or_default();
            *records += output.records;
            *hash_sum = hash_sum.wrapping_add(output.hash_sum);
        }
    }
    let mut room = Vec::new();
    for (topic, partition) in
        watch.topics().filter(|(topic, _)| ![Collected::TOPIC, Control::TOPIC, Ledger::TOPIC].contains(topic))
    {
        let mut found: Sum = (0, 0);
        for record in watch.partition(topic, partition) {
            // Settings and ticks are not a stage's.
            if matches!(frame::split(&record.value), Ok((Control::ID | Tick::ID, _))) {
                continue;
            }
            let hash = record_hash(record.timestamp_ms, &record.key, &record.value, &mut room);
            found = (found.0 + 1, found.1.wrapping_add(hash.cast_signed()));
        }
        let noted = noted.remove(&(topic.to_owned(), partition.cast_signed())).unwrap_or_default();
        if found != noted {
            let shared = [Event::TOPIC, Rejected::TOPIC].contains(&topic);
            let writers = if shared { "its writers' notes" } else { "its writer's notes" };
            return Err(violation(
                INVARIANT,
                format!("{topic}[{partition}] holds {found:?} (records, sum of hashes), {writers} say {noted:?}"),
            ));
        }
    }
    Ok(())
}
