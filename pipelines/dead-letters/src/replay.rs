//! Events of dead letters once more through ingest.

use std::collections::{BTreeMap, BTreeSet};

use millstream_ingest::clock::{Times, correct, too_late};
use millstream_schemas::input::parse_event;
use millstream_schemas::{Collected, frame};
use millstream_transports::{Append, CommitOutcome, RecordRef, Transactions, Walk};
use serde::Serialize;

use crate::letter::{Letter, Origin};
use crate::list::{Filter, each};
use crate::{DeadLetterError, Place};

/// Marks an event that comes a second time. Its times are judged like those of any other.
const ORIGIN: &str = "replay";
/// Events of one transaction.
const CHUNK: usize = 500;

/// Why a letter's event is not replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Ingest accepted the event, and a stage behind it refused: sent again it would be a duplicate.
    AcceptedByIngest,
    /// It is of an import, whose times are trusted and whose ids are not remembered.
    Imported,
    /// The record was no event at all.
    NoEvent,
    /// It has no id of its own: whether it is there already could not be known.
    NoId,
    /// It would be refused again: it is still not well-formed.
    StillInvalid,
    /// It is older than the horizon by now: operators have freed the state that it belongs to.
    TooOld,
    /// The record is no longer in the log, and with it what the request said of privacy.
    Gone,
    /// More were asked for than one run takes.
    BeyondLimit,
}

impl Refusal {
    /// What it means and what to do instead.
    pub fn advice(self) -> &'static str {
        match self {
            Self::AcceptedByIngest => {
                "ingest had accepted the event: sent again it is a duplicate; mend the operator and rebuild into a new namespace"
            }
            Self::Imported => "of an import: mend mapping or file and import it again",
            Self::NoEvent => "not an event: see which producer writes to this topic",
            Self::NoId => "without an id of its own it could count twice: have the sender send it again, with an id",
            Self::StillInvalid => "still not well-formed: it would be refused again",
            Self::TooOld => "older than the horizon by now: import it",
            Self::Gone => "the record is no longer in the log: import the letter's bytes (`dlq show`)",
            Self::BeyondLimit => "beyond the limit of one run: run it again",
        }
    }
}

/// What a replay would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Records to append again, by input partition.
    records: BTreeMap<u32, BTreeSet<u64>>,
    /// Letters that are not replayed, by why.
    pub refused: BTreeMap<Refusal, u64>,
}

impl Plan {
    /// Events that would be appended.
    pub fn events(&self) -> u64 {
        self.records.values().map(|offsets| offsets.len() as u64).sum()
    }

    fn refuse(&mut self, why: Refusal) {
        *self.refused.entry(why).or_default() += 1;
    }
}

/// What a replay did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// Events appended.
    pub appended: u64,
    /// Letters that were not replayed, by why.
    pub refused: BTreeMap<Refusal, u64>,
}

/// Reads the letters that pass the filter, and their records, and decides about each. At most `limit` events.
///
/// `horizon_ms` is how long operators of a site let events amend. A record that was refused more than once counts
/// once; an event that was appended again and refused again is two records.
///
/// # Errors
/// Where the log cannot be read.
pub fn plan(
    place: Place<'_>,
    filter: &Filter,
    now_ms: i64,
    horizon_ms: &dyn Fn(&str) -> i64,
    limit: u64,
) -> Result<Plan, DeadLetterError> {
    let mut plan = Plan::default();
    let mut wanted = BTreeMap::<u32, BTreeSet<u64>>::new();
    let mut seen = BTreeSet::<Origin>::new();
    each(place, |record| {
        let Some(letter) = Letter::of(record, place.schema_ids, false) else { return true };
        if !filter.takes(&letter) {
            return true;
        }
        match origin_of(&letter) {
            Err(why) => plan.refuse(why),
            Ok(origin) => {
                if seen.len() as u64 >= limit && !seen.contains(origin) {
                    plan.refuse(Refusal::BeyondLimit);
                } else if seen.insert(origin.clone()) {
                    wanted.entry(origin.partition).or_default().insert(origin.offset);
                }
            }
        }
        true
    })?;
    for (partition, offsets) in wanted {
        let mut left = offsets.clone();
        records(place, partition, &offsets, &mut |record| {
            left.remove(&record.offset);
            match judge(place, record, now_ms, horizon_ms) {
                Ok(_) => {
                    plan.records.entry(partition).or_default().insert(record.offset);
                }
                Err(why) => plan.refuse(why),
            }
            true
        })?;
        left.iter().for_each(|_| plan.refuse(Refusal::Gone));
    }
    Ok(plan)
}

/// Appends what was planned.
///
/// # Errors
/// Where the log fails. What was appended until then is a duplicate when it is appended again.
pub fn replay(place: Place<'_>, plan: &Plan, mut progress: impl FnMut(u64)) -> Result<Replayed, DeadLetterError> {
    let id = place.topic("dead-letter-replay");
    let mut transaction = place.transport.transactions(&id, vec![place.topic(Collected::TOPIC)])?;
    let (mut appended, mut open) = (0, 0);
    let mut value = Vec::new();
    for (partition, offsets) in &plan.records {
        let mut failed = Ok(());
        records(place, *partition, offsets, &mut |record| {
            let Some(collected) = collected_of(place, record) else { return true };
            value.clear();
            let again = Collected { origin: ORIGIN, ..collected };
            again.encode_framed(place.schema_ids.to_wire(Collected::ID), &mut value);
            let RecordRef { timestamp_ms, key, .. } = record;
            let append = Append { topic: 0, partition: *partition, timestamp_ms, key, value: &value };
            failed = transaction.send(append).map_err(DeadLetterError::from);
            open += 1;
            if failed.is_ok() && open == CHUNK {
                failed = commit(transaction.as_mut(), &mut open, &mut appended);
                progress(appended);
            }
            failed.is_ok()
        })?;
        failed?;
    }
    if open > 0 {
        commit(transaction.as_mut(), &mut open, &mut appended)?;
        progress(appended);
    }
    Ok(Replayed { appended, refused: plan.refused.clone() })
}

fn commit(transaction: &mut dyn Transactions, open: &mut usize, appended: &mut u64) -> Result<(), DeadLetterError> {
    match transaction.commit() {
        CommitOutcome::Committed => {
            *appended += *open as u64;
            *open = 0;
            Ok(())
        }
        CommitOutcome::Aborted(why) | CommitOutcome::Fenced(why) | CommitOutcome::Unknown(why) => {
            Err(DeadLetterError::NotAppended { appended: *appended, why })
        }
    }
}

/// Where the letter's record stands in ingest's input.
fn origin_of(letter: &Letter) -> Result<&Origin, Refusal> {
    match (letter.stage.as_str(), &letter.origin) {
        ("import", _) => Err(Refusal::Imported),
        ("ingest", Some(origin)) if origin.topic == Collected::TOPIC => {
            if letter.row.is_some() {
                Err(Refusal::Imported)
            } else {
                Ok(origin)
            }
        }
        ("profile", _) => Err(Refusal::AcceptedByIngest),
        _ => Err(Refusal::NoEvent),
    }
}

/// Hands over the records of ingest's input at these offsets, as far as they are left.
fn records(
    place: Place<'_>,
    partition: u32,
    offsets: &BTreeSet<u64>,
    take: &mut dyn FnMut(RecordRef<'_>) -> bool,
) -> Result<(), DeadLetterError> {
    let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else { return Ok(()) };
    let topic = place.topic(Collected::TOPIC);
    let from = (*first).max(place.transport.earliest(&topic, partition)?);
    if from > *last {
        return Ok(());
    }
    Walk::from(place.transport, &topic, partition, from)?
        .each(last + 1, |record| !offsets.contains(&record.offset) || take(record))?;
    Ok(())
}

fn collected_of<'a>(place: Place<'_>, record: RecordRef<'a>) -> Option<Collected<'a>> {
    let (wire_id, body) = frame::split(record.value).ok()?;
    if place.schema_ids.from_wire(wire_id) != Collected::ID {
        return None;
    }
    Collected::decode(body).ok()
}

/// Whether the record's event may come again.
fn judge(
    place: Place<'_>,
    record: RecordRef<'_>,
    now_ms: i64,
    horizon_ms: &dyn Fn(&str) -> i64,
) -> Result<(), Refusal> {
    let collected = collected_of(place, record).ok_or(Refusal::NoEvent)?;
    if collected.origin == "import" {
        return Err(Refusal::Imported);
    }
    let event = parse_event(collected.payload)
        .map_err(|error| if error.field == "id" { Refusal::NoId } else { Refusal::StillInvalid })?;
    let times = Times { received_ms: collected.received_at, sent_ms: collected.sent_at, created_ms: event.time };
    let (event_time, _) = correct(times);
    if too_late(now_ms, event_time, horizon_ms(collected.site)) {
        return Err(Refusal::TooOld);
    }
    Ok(())
}
