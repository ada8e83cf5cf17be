//! The ledger: what each transaction writes into it, and what it is read for where the group's offset cannot be believed.
//!
//! Anybody may commit an offset for a group: a tool that resets it, an operator in a hurry, a broker that lets the offsets of an
//! empty group expire. Whoever goes on from there writes outputs twice or leaves some out. So every commit of ours is stamped, and
//! where the stamp is missing the ledger says how far the outputs are.

use std::sync::atomic::Ordering;
use std::time::Duration;

use millstream_transports::{Append, Batch, CommitOutcome, Committed, Reader, TopicPartition, TransportError};

use super::{Worker, WorkerError};

/// What a commit of ours begins its note with.
const STAMP: &str = "millstream/1 ";
/// How long one look into the ledger waits for more.
const LOOK: Duration = Duration::from_millis(100);
/// Looks without a record after which the ledger is taken for unreachable: somebody's transaction is open there.
const LOOKS: usize = 50;

/// The note beside an offset of ours: the offset once more, and the version of the logic that processed what lies before it.
pub(super) fn stamp(offset: u64, logic_version: u32) -> String {
    format!("{STAMP}{offset} {logic_version}")
}

/// Offset and logic version of a note of ours.
fn stamped(metadata: &str) -> Option<(u64, u32)> {
    let (offset, logic_version) = metadata.strip_prefix(STAMP)?.split_once(' ')?;
    Some((offset.parse().ok()?, logic_version.parse().ok()?))
}

/// Whether a worker committed this. Tools that copy the note beside another offset are found out too.
pub fn is_stamped(committed: &Committed) -> bool {
    stamped(&committed.metadata).is_some_and(|(offset, _)| offset == committed.offset)
}

/// Up to where a stage's outputs are in the log, and by which logic, where that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub offset: u64,
    pub logic_version: Option<u32>,
}

/// Where a task's last transaction ended, by what is left of its ledger.
type Noted = Option<u64>;

impl Worker {
    /// Appends the notes of the open epoch to its outputs.
    pub(super) fn note_in_ledger(&mut self) {
        let Some(book) = self.factory.ledger() else { return };
        let (stage, topic, inputs) = (self.factory.name(), book.topic(), self.factory.inputs());
        let mut value = Vec::new();
        for task in self.tasks.values() {
            let Some(input) = inputs.get(usize::from(task.partition.topic)) else { continue };
            value.clear();
            let noted = task.noted(stage, &input.name, &self.out, |entry| {
                book.encode(entry, &mut value);
                entry.timestamp_ms
            });
            if let Some(timestamp_ms) = noted {
                let partition = task.partition.partition;
                let key = format!("{stage}:{}:{partition}", input.name);
                self.out.push(topic, partition, timestamp_ms, key.as_bytes(), |bytes| bytes.extend_from_slice(&value));
            }
        }
    }

    /// Up to where this stage's outputs are in the log: the group's offset if we committed it, else what the ledger says. `None`
    /// where the membership ended meanwhile; the next step joins anew.
    pub(super) fn committed_by_us(&mut self, partition: TopicPartition) -> Result<Option<Standing>, WorkerError> {
        let unknown = |offset| Some(Standing { offset, logic_version: None });
        let Some(member) = self.member.as_mut() else { return Ok(None) };
        let told = member.committed(partition).map_err(|source| self.transport_error(source))?;
        if let Some(told) = told.as_ref().filter(|told| is_stamped(told)) {
            let logic_version = stamped(&told.metadata).map(|(_, logic_version)| logic_version);
            return Ok(Some(Standing { offset: told.offset, logic_version }));
        }
        if self.factory.ledger().is_none() {
            return Ok(unknown(told.map_or(0, |told| told.offset)));
        }
        if told.is_none() && self.look_into_ledger(partition, None)?.is_none() && self.ledger_is_whole(partition)? {
            // The group's first start, with nothing to doubt.
            return Ok(unknown(0));
        }
        let Some(noted) = self.look_behind_open_transactions(partition)? else { return Ok(None) };
        let (stage, number) = (self.factory.name(), partition.partition);
        let (told_offset, note) = told.map_or((0, String::new()), |told| (told.offset, told.metadata));
        let Some(next) = noted.or(if self.ledger_is_whole(partition)? { Some(0) } else { None }) else {
            return Err(WorkerError::LedgerTruncated { stage, partition: number, told: told_offset });
        };
        self.stats.foreign_commits.fetch_add(1, Ordering::Relaxed);
        tracing::error!(
            stage,
            partition = number,
            group_offset = told_offset,
            group_note = note,
            ledger_offset = next,
            "somebody else committed (or removed) this group's offset; going on from where the ledger says that our outputs end"
        );
        Ok(unknown(next))
    }

    /// As [`Worker::look_into_ledger`], and nothing that was committed before can be missing: a transaction is read only when all
    /// that began before it in the partition have ended, so a record of our own that can be read proves it.
    fn look_behind_open_transactions(&mut self, partition: TopicPartition) -> Result<Option<Noted>, WorkerError> {
        let Some(topic) = self.factory.ledger().map(|book| book.topic()) else { return Ok(None) };
        let Some(member) = self.member.as_mut() else { return Ok(None) };
        let timestamp_ms = self.clock.now_ms();
        let key = format!("probe:{}:{}:{timestamp_ms}", self.factory.name(), self.config.instance_id);
        let number = partition.partition;
        let probe = Append { topic, partition: number, timestamp_ms, key: key.as_bytes(), value: &[] };
        let sent = member.send(probe).map(|()| member.commit(&[]));
        match sent.map_err(|source| self.transport_error(source))? {
            CommitOutcome::Committed => self.look_into_ledger(partition, Some(key.as_bytes())).map(Some),
            CommitOutcome::Aborted(why) | CommitOutcome::Fenced(why) | CommitOutcome::Unknown(why) => {
                tracing::warn!(stage = self.factory.name(), %why, "the ledger could not be probed; joining anew");
                self.abandon();
                Ok(None)
            }
        }
    }

    /// The last note of a task. Reads up to the record whose key is `until`, or to what is the end now.
    fn look_into_ledger(&self, partition: TopicPartition, until: Option<&[u8]>) -> Result<Noted, WorkerError> {
        let inputs = self.factory.inputs();
        let (Some(book), Some(ledger)) = (self.factory.ledger(), self.ledger_topic()) else { return Ok(None) };
        let input = inputs.get(usize::from(partition.topic)).map_or("", |input| &input.name);
        let read = || {
            let mut reader = self.transport.reader(&ledger, partition.partition, 0)?;
            last_note(reader.as_mut(), until, |value| book.next_offset(value, input, partition.partition))
        };
        read().map_err(|source| self.transport_error(source))
    }

    /// Whether nothing has gone from a partition's ledger.
    fn ledger_is_whole(&self, partition: TopicPartition) -> Result<bool, WorkerError> {
        let Some(ledger) = self.ledger_topic() else { return Ok(true) };
        let earliest = self.transport.earliest(&ledger, partition.partition);
        earliest.map(|earliest| earliest == 0).map_err(|source| self.transport_error(source))
    }

    fn ledger_topic(&self) -> Option<String> {
        let outputs = self.factory.outputs();
        let topic = outputs.get(usize::from(self.factory.ledger()?.topic()))?;
        Some(self.topic(&topic.name))
    }
}

fn last_note(
    reader: &mut dyn Reader,
    until: Option<&[u8]>,
    next_offset: impl Fn(&[u8]) -> Option<u64>,
) -> Result<Noted, TransportError> {
    let (mut noted, mut batch, mut looks) = (None, Batch::new(), 0);
    while looks < LOOKS {
        let ended = until.is_none() && reader.at_end()?;
        reader.poll(if ended { Duration::ZERO } else { LOOK }, &mut batch)?;
        for record in batch.iter() {
            noted = next_offset(record.value).or(noted);
            if until == Some(record.key) {
                return Ok(noted);
            }
        }
        if ended && batch.is_empty() {
            return Ok(noted);
        }
        looks = if batch.is_empty() { looks + 1 } else { 0 };
    }
    Err(TransportError::Unavailable("a transaction stays open in the ledger".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_note_beside_its_own_offset_is_believed() {
        let committed = |offset, metadata: &str| Committed { offset, metadata: metadata.to_owned() };
        assert!(is_stamped(&Committed { offset: 7, metadata: stamp(7, 3) }));
        for foreign in [
            committed(7, ""),
            committed(8, &stamp(7, 3)),
            committed(7, "millstream/2 7 3"),
            committed(7, "millstream/1"),
        ] {
            assert!(!is_stamped(&foreign), "{foreign:?}");
        }
    }
}
