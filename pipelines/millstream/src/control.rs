//! The control sequencer: what may change an output is a record in the log.
//!
//! A site's settings and the promotion of a model are numbered and copied, in one transaction, into every partition of every task's
//! input; tasks read them nowhere else, so their order against events is in the log.

use std::collections::BTreeMap;

use millstream_operators::site::SITE_CONFIG_KIND;
use millstream_schemas::{Control, SchemaIds, frame};
use millstream_transports::{Append, CommitOutcome, Transport, TransportError, Walk};

use crate::config::SiteSection;

/// Topics that tasks read; control is copied into each partition of them.
pub const TASK_INPUTS: [&str; 2] = ["events.collected", "events"];
const CONTROL_TOPIC: &str = "control";
/// Attempts to become the sequencer while others try the same.
const ATTEMPTS: u32 = 5;

/// Why settings could not be published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The log failed.
    #[error("control records: {0}")]
    Transport(#[from] TransportError),
    /// The transaction did not commit.
    #[error("control records were not committed ({0}); start again")]
    NotCommitted(String),
    /// A record in the control topic cannot be read.
    #[error("control[0]: offset {offset}: {detail}")]
    Unreadable {
        /// Its offset.
        offset: u64,
        /// What is wrong.
        detail: String,
    },
}

/// What a control record is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its kind.
    pub kind: &'static str,
    /// The site it concerns; empty for all, for kinds that can.
    pub site: String,
    /// What it says.
    pub body: String,
}

/// What the log says so far.
#[derive(Debug, Default)]
struct Known {
    last_number: i64,
    /// The latest body by kind and site.
    latest: BTreeMap<(String, String), String>,
}

impl Known {
    fn says(&self, change: &Change) -> bool {
        self.latest.get(&(change.kind.to_owned(), change.site.clone())) == Some(&change.body)
    }
}

/// Publishes the settings of sites whose last record in the log differs. Returns how many were published.
///
/// # Errors
/// Where the log cannot be read or written.
pub fn publish_site_settings(
    transport: &dyn Transport,
    namespace: &str,
    ids: &SchemaIds,
    sites: &[SiteSection],
    now_ms: i64,
) -> Result<usize, ControlError> {
    let change =
        |site: &SiteSection| Change { kind: SITE_CONFIG_KIND, site: site.name.clone(), body: site.settings_body() };
    let changes: Vec<Change> = sites.iter().map(change).collect();
    publish_changes(transport, namespace, ids, &changes, now_ms)
}

/// Publishes those changes that the log does not say yet. Returns how many were published.
///
/// # Errors
/// Where the log cannot be read or written.
pub fn publish_changes(
    transport: &dyn Transport,
    namespace: &str,
    ids: &SchemaIds,
    changes: &[Change],
    now_ms: i64,
) -> Result<usize, ControlError> {
    let known = read_known(transport, &format!("{namespace}{CONTROL_TOPIC}"), ids)?;
    if changes.iter().all(|change| known.says(change)) {
        return Ok(0);
    }
    let mut attempts = 0;
    loop {
        match publish(transport, namespace, ids, changes, now_ms) {
            // Another process was the sequencer in between; what it published counts now.
            Err(ControlError::NotCommitted(_) | ControlError::Transport(TransportError::Fenced(_)))
                if attempts < ATTEMPTS =>
            {
                attempts += 1;
            }
            result => return result,
        }
    }
}

/// The latest bodies of records of one kind, by site.
///
/// # Errors
/// Where the log cannot be read.
pub fn latest(
    transport: &dyn Transport,
    namespace: &str,
    ids: &SchemaIds,
    kind: &str,
) -> Result<BTreeMap<String, String>, ControlError> {
    let known = read_known(transport, &format!("{namespace}{CONTROL_TOPIC}"), ids)?;
    let of_kind = known.latest.into_iter().filter(|((known, _), _)| known == kind);
    Ok(of_kind.map(|((_, site), body)| (site, body)).collect())
}

/// One attempt. Opening the sequencer fences every other, so that nobody else gives out numbers between reading and writing.
fn publish(
    transport: &dyn Transport,
    namespace: &str,
    ids: &SchemaIds,
    changes: &[Change],
    now_ms: i64,
) -> Result<usize, ControlError> {
    let mut topics = vec![format!("{namespace}{CONTROL_TOPIC}")];
    topics.extend(TASK_INPUTS.iter().map(|topic| format!("{namespace}{topic}")));
    let partitions = topics.iter().map(|topic| transport.partition_count(topic)).collect::<Result<Vec<_>, _>>()?;
    let mut sequencer = transport.transactions(&format!("{namespace}control"), topics)?;
    let known = read_known(transport, &format!("{namespace}{CONTROL_TOPIC}"), ids)?;
    let changed: Vec<&Change> = changes.iter().filter(|change| !known.says(change)).collect();
    if changed.is_empty() {
        return Ok(0);
    }
    for (index, change) in changed.iter().enumerate() {
        let record = Control {
            number: known.last_number + 1 + i64::try_from(index).unwrap_or(i64::MAX),
            kind: change.kind,
            site: &change.site,
            effective_at: now_ms,
            body: &change.body,
        };
        let mut value = Vec::new();
        record.encode_framed(ids.to_wire(Control::ID), &mut value);
        for (topic, &count) in (0u16..).zip(&partitions) {
            for partition in 0..count {
                let key = change.site.as_bytes();
                sequencer.send(Append { topic, partition, timestamp_ms: now_ms, key, value: &value })?;
            }
        }
    }
    match sequencer.commit() {
        CommitOutcome::Committed => Ok(changed.len()),
        // Where it did commit after all, the next start finds the records in the log and publishes nothing.
        CommitOutcome::Aborted(why) | CommitOutcome::Fenced(why) | CommitOutcome::Unknown(why) => {
            Err(ControlError::NotCommitted(why))
        }
    }
}

fn read_known(transport: &dyn Transport, topic: &str, ids: &SchemaIds) -> Result<Known, ControlError> {
    let mut known = Known::default();
    let mut walk = Walk::open(transport, topic, 0)?;
    while let Some(record) = walk.peek()? {
        let unreadable = |detail: String| ControlError::Unreadable { offset: record.offset, detail };
        let (id, body) = frame::split(record.value).map_err(|error| unreadable(error.to_string()))?;
        if ids.from_wire(id) != Control::ID {
            return Err(unreadable(format!("schema id {id} is not a control record's")));
        }
        let control = Control::decode(body).map_err(|error| unreadable(error.to_string()))?;
        known.last_number = known.last_number.max(control.number);
        let key = (control.kind.to_owned(), control.site.to_owned());
        known.latest.insert(key, control.body.to_owned());
        walk.take();
    }
    Ok(known)
}
