//! Every acknowledged event has one fate, by the client's own list.

use std::collections::BTreeMap;

use millstream_ingest::Fate;
use millstream_runtime::{Outputs, Stage};
use millstream_schemas::input::{Reason, parse_envelope};
use millstream_schemas::{Collected, Event, Rejected, frame};

use super::{Checked, violation};
use crate::topology;
use crate::traffic::Expected;
use crate::watch::Watch;
use crate::world::World;

const INVARIANT: &str = "every acknowledged event once";

/// What became of the copies of an event.
#[derive(Debug, Default)]
struct Fates {
    copies: u64,
    accepted: u64,
    rejected: u64,
    duplicates: u64,
    dropped: u64,
    /// Rows in `events` and in `events.rejected`, and those rejected for being too late.
    processed_rows: u64,
    rejected_rows: u64,
    too_late_rows: u64,
}

pub(super) fn check(world: &World) -> Checked {
    let watch = world.watch.lock();
    let client = world.client.lock();
    let mut fates = said_by_ingest(world, &watch)?;
    count_rows(&watch, &mut fates);
    let known: BTreeMap<&str, bool> = client.1.events.iter().map(|(sent, known)| (sent.id.as_str(), *known)).collect();
    let invented = fates.keys().find(|id| !known.contains_key(id.as_str()));
    if let Some(id) = invented {
        return Err(violation(INVARIANT, format!("nobody sent an event {id:?}")));
    }
    let nothing = Fates::default();
    for (sent, acknowledged) in &client.1.events {
        let fates = fates.get(&sent.id).unwrap_or(&nothing);
        let wrong = |what: &str| Err(violation(INVARIANT, format!("{what}: {sent:?} ended as {fates:?}")));
        if *acknowledged && fates.copies == 0 {
            return wrong("acknowledged, and not in the log");
        }
        if fates.processed_rows != fates.accepted || fates.rejected_rows != fates.rejected {
            return wrong("other rows than fates");
        }
        if fates.accepted > 1 {
            return wrong("processed more than once");
        }
        if fates.accepted + fates.rejected + fates.duplicates + fates.dropped != fates.copies {
            return wrong("a copy without a fate");
        }
        if fates.duplicates > 0 && fates.accepted + fates.dropped == 0 {
            return wrong("a duplicate of nothing");
        }
        // The client's own judgement.
        let as_expected = match sent.expected {
            _ if fates.copies == 0 => true,
            Expected::Processed => fates.accepted == 1 || fates.too_late_rows == fates.copies,
            Expected::Rejected => fates.accepted == 0 && fates.rejected_rows == fates.copies,
            Expected::Either => true,
        };
        if !as_expected {
            return wrong("not what its sender expects");
        }
    }
    world.strikes(|tally| {
        tally.events = client.1.events.iter().filter(|(_, acknowledged)| *acknowledged).count() as u64;
        tally.copies = fates.values().map(|fates| fates.copies).sum();
        tally.too_late = fates.values().map(|fates| fates.too_late_rows).sum();
    });
    Ok(())
}

/// The fate of each copy, by a stage that was never disturbed.
fn said_by_ingest(world: &World, watch: &Watch) -> Result<BTreeMap<String, Fates>, super::Violation> {
    let factory = topology::ingest(&world.plan);
    let mut found: BTreeMap<String, Fates> = BTreeMap::new();
    let mut out = Outputs::new();
    for partition in 0..world.plan.partitions {
        let mut stage = factory.stage(partition);
        for record in watch.partition(Collected::TOPIC, partition) {
            let before = *stage.fates();
            stage.on_record(record.as_record(partition), &mut out);
            stage.commit_epoch();
            out.clear();
            let Ok((Collected::ID, body)) = frame::split(&record.value) else { continue };
            let id = Collected::decode(body)
                .ok()
                .and_then(|collected| parse_envelope(collected.payload).ok()?.id.map(std::borrow::Cow::into_owned))
                .unwrap_or_default();
            let fates = found.entry(id).or_default();
            fates.copies += 1;
            let mut seen = 0;
            for fate in Fate::ALL.into_iter().filter(|fate| fate.is_final()) {
                let count = stage.fates().get(fate) - before.get(fate);
                seen += count;
                match fate {
                    Fate::Accepted => fates.accepted += count,
                    Fate::Rejected => fates.rejected += count,
                    Fate::Duplicate => fates.duplicates += count,
                    _ => fates.dropped += count,
                }
            }
            if seen != 1 {
                let place = format!("{}[{partition}], offset {}", Collected::TOPIC, record.offset);
                return Err(violation(INVARIANT, format!("{place} has {seen} fates")));
            }
        }
    }
    Ok(found)
}

/// What is in the topics, whatever a stage says.
fn count_rows(watch: &Watch, found: &mut BTreeMap<String, Fates>) {
    for (_, record) in watch.topic(Event::TOPIC) {
        if let Ok((Event::ID, body)) = frame::split(&record.value)
            && let Ok(event) = Event::decode(body)
        {
            found.entry(event.event_id.to_owned()).or_default().processed_rows += 1;
        }
    }
    for (_, record) in watch.topic(Rejected::TOPIC) {
        if let Ok((Rejected::ID, body)) = frame::split(&record.value)
            && let Ok(rejected) = Rejected::decode(body)
            && rejected.stage == "ingest"
        {
            let fates = found.entry(rejected.event_id.unwrap_or_default().to_owned()).or_default();
            fates.rejected_rows += 1;
            fates.too_late_rows += u64::from(rejected.reason == Reason::TooLate.as_str());
        }
    }
}
