//! The input of one namespace copied into another, in segments that end where a control record stands.
//!
//! Control records are in the input of every task. Those of the first stage come with the copied records; those of the stages behind it
//! are appended by the caller when everything before them has been processed, so that settings and promotions apply to the same events
//! as they did.
//!
//! How far a copy has come is not noted anywhere: what was copied says so itself, record by record ([`crate::progress`]). A copy that was
//! killed goes on where it was, and one of a namespace in use is brought up to date by another run.

use std::time::Duration;

use millstream_schemas::{Collected, SchemaIds};
use millstream_transports::{Append, CommitOutcome, Transactions, Transport};

use crate::ReplayError;
use crate::closing::{closing, reopened};
use crate::control::{CONTROL, control_in, last_number};
use crate::progress::{Source, Taken, resume};
use crate::reading::{Next, read};
use crate::stragglers::{Stragglers, Stretch, append, missing};

/// Bytes of one transaction.
pub(crate) const TRANSACTION_BYTES: usize = 4 << 20;
/// The input of the stages behind the first one.
pub(crate) const EVENTS: &str = "events";
/// A control record is in all partitions by one transaction, but partitions show it one after the other.
const SHOWN_WITHIN: u32 = 1_500;
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Why a copy has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// Before what comes behind the control record of this number, in every partition.
    AtControl(i64),
    /// At the record that hands the namespace over, in every partition: nothing behind it is copied.
    AtClosing,
    /// At what is the end now.
    AtEnd,
}

/// Copies one namespace's input into another.
pub struct Copier<'a> {
    transport: &'a dyn Transport,
    ids: &'a SchemaIds,
    from: String,
    to: String,
    input: Box<dyn Transactions>,
    control: Box<dyn Transactions>,
    sources: Vec<Source>,
    /// Number of the last control record that has opened the namespace again.
    reopened: i64,
    /// Number of the last control record copied.
    last_number: i64,
}

impl<'a> Copier<'a> {
    /// A copier into a namespace whose topics exist, and hold nothing but what was copied into them before. Another copier into it is
    /// fenced.
    ///
    /// # Errors
    /// Where they hold something else, the log has lost its beginning, the namespace was handed over to another one, or the log fails.
    pub fn new(transport: &'a dyn Transport, ids: &'a SchemaIds, from: &str, to: &str) -> Result<Self, ReplayError> {
        let (topic, input) = (format!("{from}{}", Collected::TOPIC), format!("{to}{}", Collected::TOPIC));
        let control = vec![format!("{to}{CONTROL}"), format!("{to}{EVENTS}")];
        // Fences first: what is counted below must not grow any more.
        let (copied_input, copied_control) = (
            transport.transactions(&format!("{to}replay-input"), vec![input.clone()])?,
            transport.transactions(&format!("{to}replay-control"), control)?,
        );
        closing(transport, ids, from, to)?;
        let reopened = reopened(transport, ids, from)?;
        let mut sources = Vec::new();
        for partition in 0..transport.partition_count(&topic)? {
            let earliest = transport.earliest(&topic, partition)?;
            if earliest > 0 {
                return Err(ReplayError::Truncated { topic, partition, earliest });
            }
            sources.push(resume(transport, ids, (&topic, &input), partition, reopened)?);
        }
        Ok(Self {
            transport,
            ids,
            from: from.to_owned(),
            to: to.to_owned(),
            input: copied_input,
            control: copied_control,
            sources,
            reopened,
            last_number: last_number(transport, ids, to)?,
        })
    }

    /// Records copied so far, by this copier and those before it.
    pub fn copied(&self) -> u64 {
        self.sources.iter().map(|source| source.copied).sum()
    }

    /// Whether the other namespace holds more than a copy: it has taken over before, and must not be compared or processed here.
    pub fn is_succeeded(&self) -> bool {
        self.sources.iter().any(|source| source.copy_ends.is_some())
    }

    /// Where the record stands that hands the namespace over, by partition; `None` where one has not been reached.
    pub fn closing_offsets(&self) -> Option<Vec<u64>> {
        self.sources.iter().map(|source| source.has_ended.then_some(source.next)).collect()
    }

    /// Copies up to and including the next control record of each partition, or to where nothing more is to be copied.
    ///
    /// # Errors
    /// Where the log fails.
    pub fn copy_segment(&mut self) -> Result<Stopped, ReplayError> {
        for _ in 0..SHOWN_WITHIN {
            for partition in 0..self.sources.len() {
                self.copy_partition(partition)?;
            }
            let newest = self.sources.iter().map(|source| source.number).max().unwrap_or(i64::MIN);
            if newest <= self.last_number {
                let all_closed = self.sources.iter().all(|source| source.has_ended);
                return Ok(if all_closed { Stopped::AtClosing } else { Stopped::AtEnd });
            }
            if self.sources.iter().all(|source| source.number == newest) {
                self.last_number = newest;
                return Ok(Stopped::AtControl(newest));
            }
            // The others were read to their end before it was written.
            std::thread::sleep(LOOK_AGAIN);
        }
        let behind = self.sources.iter().position(|source| source.number <= self.last_number);
        Err(ReplayError::Unreadable {
            topic: format!("{}{}", self.from, Collected::TOPIC),
            partition: behind.and_then(|partition| u32::try_from(partition).ok()).unwrap_or_default(),
            offset: behind.and_then(|partition| self.sources.get(partition)).map_or(0, |source| source.next),
            detail: "a control record stands in other partitions and does not come in this one".to_owned(),
        })
    }

    /// Copies one partition up to and including its next control record.
    fn copy_partition(&mut self, partition: usize) -> Result<(), ReplayError> {
        let Some(source) = self.sources.get_mut(partition) else { return Ok(()) };
        if source.number > self.last_number || source.has_ended {
            return Ok(());
        }
        let partition = u32::try_from(partition).unwrap_or(u32::MAX);
        let topic = format!("{}{}", self.from, Collected::TOPIC);
        let target = format!("{}{}", self.to, Collected::TOPIC);
        let input = &mut self.input;
        let (ids, reopened, last) = (self.ids, self.reopened, self.last_number);
        let mut open_bytes = 0;
        read(self.transport, &topic, partition, source.next, u64::MAX, |record| {
            match source.take(&record, ids, reopened) {
                Taken::End => return Ok(Next::Stop),
                Taken::Skipped => return Ok(Next::On),
                Taken::Copied => {}
            }
            let (timestamp_ms, key, value) = (record.timestamp_ms, record.key, record.value);
            input.send(Append { topic: 0, partition, timestamp_ms, key, value })?;
            open_bytes += key.len() + value.len();
            if open_bytes >= TRANSACTION_BYTES {
                open_bytes = 0;
                commit(input.as_mut(), &target)?;
            }
            Ok(if source.number > last { Next::Stop } else { Next::On })
        })?;
        commit(self.input.as_mut(), &target)
    }

    /// Appends a control record to the input of the stages behind the first one. To be called when they have processed all that was
    /// copied before it.
    ///
    /// # Errors
    /// Where the record cannot be found, or the log fails.
    pub fn copy_control(&mut self, number: i64) -> Result<(), ReplayError> {
        let topic = format!("{}{CONTROL}", self.from);
        let partitions = self.transport.partition_count(&format!("{}{EVENTS}", self.to))?;
        let (control, ids) = (&mut self.control, self.ids);
        read(self.transport, &topic, 0, 0, u64::MAX, |record| {
            if control_in(record.value, ids, |control| control.number) != Some(number) {
                return Ok(Next::On);
            }
            let (timestamp_ms, key, value) = (record.timestamp_ms, record.key, record.value);
            control.send(Append { topic: 0, partition: 0, timestamp_ms, key, value })?;
            for partition in 0..partitions {
                control.send(Append { topic: 1, partition, timestamp_ms, key, value })?;
            }
            Ok(Next::Stop)
        })?;
        commit(self.control.as_mut(), &format!("{}{CONTROL}", self.to))
    }

    /// Copies the events behind the record that handed the namespace over and that the other one does not have yet: of collectors that
    /// had not noticed. Those that `is_too_old` says are left alone: operators have let go of what they belong to.
    ///
    /// # Errors
    /// Where the log fails.
    pub fn copy_stragglers(&mut self, is_too_old: &dyn Fn(&Collected<'_>) -> bool) -> Result<Stragglers, ReplayError> {
        let (from, to) = (format!("{}{}", self.from, Collected::TOPIC), format!("{}{}", self.to, Collected::TOPIC));
        let mut stragglers = Stragglers::default();
        for (partition, source) in (0..).zip(&self.sources) {
            let looked = Stretch { topic: &from, partition, from: source.next };
            let behind = Stretch { topic: &to, partition, from: source.copy_ends.unwrap_or_default() };
            let missing = missing(self.transport, self.ids, looked, behind)?;
            let input = self.input.as_mut();
            stragglers += append(self.transport, looked, &missing, is_too_old, input)?;
            commit(input, &to)?;
        }
        Ok(stragglers)
    }

    /// Copies how far imports have come, so that none of them is imported once more. To be called when their events are copied.
    ///
    /// # Errors
    /// Where the log fails, or an import has not ended.
    pub fn copy_imports(&mut self) -> Result<(), ReplayError> {
        crate::imports::copy(self.transport, self.ids, &self.from, &self.to)
    }
}

impl std::fmt::Debug for Copier<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copier").field("from", &self.from).field("to", &self.to).finish_non_exhaustive()
    }
}

pub(crate) fn commit(transactions: &mut dyn Transactions, topic: &str) -> Result<(), ReplayError> {
    match transactions.commit() {
        CommitOutcome::Committed => Ok(()),
        CommitOutcome::Aborted(why) | CommitOutcome::Fenced(why) | CommitOutcome::Unknown(why) => {
            Err(ReplayError::NotCommitted { topic: topic.to_owned(), why })
        }
    }
}
