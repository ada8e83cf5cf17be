//! What dead letters there are.

use std::collections::BTreeMap;

use millstream_schemas::Rejected;
use millstream_transports::{RecordRef, Result, Walk};
use serde::Serialize;

use crate::letter::Letter;
use crate::{DeadLetterError, Place};

/// Which letters.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only of this reason.
    pub reason: Option<String>,
    /// Only of this stage.
    pub stage: Option<String>,
    /// Only of this site.
    pub site: Option<String>,
    /// Only this one.
    pub id: Option<String>,
    /// Only of records received from this time on, milliseconds since the epoch.
    pub since_ms: Option<i64>,
}

impl Filter {
    /// Whether it lets the letter through.
    pub fn takes(&self, letter: &Letter) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        is(&self.reason, &letter.reason)
            && is(&self.stage, &letter.stage)
            && is(&self.site, &letter.site)
            && is(&self.id, &letter.id)
            && self.since_ms.is_none_or(|since| letter.at_ms >= since)
    }
}

/// How many letters, and of which time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Who refused them.
    pub stage: String,
    /// Why.
    pub reason: String,
    /// The topic they stood in; empty for rows of files.
    pub topic: String,
    /// How many.
    pub letters: u64,
    /// When the first was received, milliseconds since the epoch.
    pub first_ms: i64,
    /// When the last was.
    pub last_ms: i64,
}

/// What there is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// By stage, reason and topic; most letters first.
    pub counts: Vec<Count>,
    /// The newest, newest first, without their bytes.
    pub newest: Vec<Letter>,
    /// Records of the topic that are no dead letter.
    pub unreadable: u64,
}

/// Counts the letters that pass the filter and keeps the `most` newest.
///
/// # Errors
/// Where the log cannot be read.
pub fn list(place: Place<'_>, filter: &Filter, most: usize) -> std::result::Result<Listing, DeadLetterError> {
    let mut counts = BTreeMap::<(String, String, String), Count>::new();
    let mut newest = BTreeMap::<(i64, u32, u64), Letter>::new();
    let mut unreadable = 0;
    each(place, |record| {
        let Some(letter) = Letter::of(record, place.schema_ids, false) else {
            unreadable += 1;
            return true;
        };
        if !filter.takes(&letter) {
            return true;
        }
        let topic = letter.origin.as_ref().map_or_else(String::new, |origin| origin.topic.clone());
        let key = (letter.stage.clone(), letter.reason.clone(), topic);
        let count = counts.entry(key.clone()).or_insert_with(|| {
            let (stage, reason, topic) = key;
            Count { stage, reason, topic, letters: 0, first_ms: letter.at_ms, last_ms: letter.at_ms }
        });
        count.letters += 1;
        count.first_ms = count.first_ms.min(letter.at_ms);
        count.last_ms = count.last_ms.max(letter.at_ms);
        newest.insert((letter.at_ms, record.partition, record.offset), letter);
        if newest.len() > most {
            newest.pop_first();
        }
        true
    })?;
    let mut counts: Vec<Count> = counts.into_values().collect();
    counts.sort_by_key(|count| std::cmp::Reverse(count.letters));
    Ok(Listing { counts, newest: newest.into_values().rev().collect(), unreadable })
}

/// The letter with this id, with its bytes; the last one where it was refused more than once.
///
/// # Errors
/// Where the log cannot be read.
pub fn find(place: Place<'_>, id: &str) -> std::result::Result<Option<Letter>, DeadLetterError> {
    let mut found = None;
    each(place, |record| {
        // An id is the record's key, so that nothing else is decoded.
        if record.key == id.as_bytes() {
            found = Letter::of(record, place.schema_ids, true).or(found.take());
        }
        true
    })?;
    Ok(found)
}

/// Hands over every record of the dead letters' topic, partition by partition, while `take` says to go on.
pub(crate) fn each(place: Place<'_>, mut take: impl FnMut(RecordRef<'_>) -> bool) -> Result<()> {
    let topic = place.topic(Rejected::TOPIC);
    for partition in 0..place.transport.partition_count(&topic)? {
        if !Walk::open(place.transport, &topic, partition)?.each(u64::MAX, &mut take)? {
            return Ok(());
        }
    }
    Ok(())
}
