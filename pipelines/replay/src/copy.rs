//! The input of one namespace copied into another, in segments that end where a control record stands.
//!
//! Control records are in the input of every task. Those of the first stage come with the copied records; those of the stages behind it
//! are appended by the caller when everything before them has been processed, so that settings and promotions apply to the same events
//! as they did.

use millstream_schemas::{Collected, Control, SchemaIds, frame};
use millstream_transports::{Append, CommitOutcome, Transactions, Transport};

use crate::ReplayError;
use crate::reading::{Next, read};

/// Bytes of one transaction.
const TRANSACTION_BYTES: usize = 4 << 20;
/// The topic in which every control record stands once.
const CONTROL: &str = Control::TOPIC;
/// The input of the stages behind the first one.
const EVENTS: &str = "events";

/// Copies one namespace's input into another.
pub struct Copier<'a> {
    transport: &'a dyn Transport,
    ids: &'a SchemaIds,
    from: String,
    to: String,
    input: Box<dyn Transactions>,
    control: Box<dyn Transactions>,
    /// Where each partition is read on.
    positions: Vec<u64>,
    /// Number of the last control record copied.
    last_number: i64,
    copied: u64,
}

impl<'a> Copier<'a> {
    /// A copier into a namespace whose topics exist and are empty.
    ///
    /// # Errors
    /// Where they are not, or the log fails.
    pub fn new(transport: &'a dyn Transport, ids: &'a SchemaIds, from: &str, to: &str) -> Result<Self, ReplayError> {
        let input = format!("{to}{}", Collected::TOPIC);
        for topic in [&input, &format!("{to}{EVENTS}")] {
            for partition in 0..transport.partition_count(topic)? {
                let mut is_empty = true;
                read(transport, topic, partition, 0, u64::MAX, |_| {
                    is_empty = false;
                    Ok(Next::Stop)
                })?;
                if !is_empty {
                    return Err(ReplayError::NotEmpty { topic: topic.clone() });
                }
            }
        }
        let partitions = transport.partition_count(&format!("{from}{}", Collected::TOPIC))?;
        let control = vec![format!("{to}{CONTROL}"), format!("{to}{EVENTS}")];
        Ok(Self {
            transport,
            ids,
            from: from.to_owned(),
            to: to.to_owned(),
            input: transport.transactions(&format!("{to}replay-input"), vec![input])?,
            control: transport.transactions(&format!("{to}replay-control"), control)?,
            positions: vec![0; partitions as usize],
            last_number: i64::MIN,
            copied: 0,
        })
    }

    /// Records copied so far.
    pub fn copied(&self) -> u64 {
        self.copied
    }

    /// Copies up to and including the next control record of each partition, or to what is the end now. Returns the record's number;
    /// `None` where everything is copied.
    ///
    /// # Errors
    /// Where the log fails.
    pub fn copy_segment(&mut self) -> Result<Option<i64>, ReplayError> {
        let topic = format!("{}{}", self.from, Collected::TOPIC);
        let target = format!("{}{}", self.to, Collected::TOPIC);
        let mut stopped_at = None;
        for partition in 0..u32::try_from(self.positions.len()).unwrap_or(u32::MAX) {
            let Some(position) = self.positions.get_mut(partition as usize) else { continue };
            let (input, ids, last, copied) = (&mut self.input, self.ids, self.last_number, &mut self.copied);
            let mut open_bytes = 0;
            read(self.transport, &topic, partition, *position, u64::MAX, |record| {
                let (timestamp_ms, key, value) = (record.timestamp_ms, record.key, record.value);
                input.send(Append { topic: 0, partition, timestamp_ms, key, value })?;
                *position = record.offset + 1;
                *copied += 1;
                open_bytes += key.len() + value.len();
                if open_bytes >= TRANSACTION_BYTES {
                    open_bytes = 0;
                    commit(input.as_mut(), &target)?;
                }
                match control_number(value, ids).filter(|number| *number > last) {
                    Some(number) => {
                        stopped_at = Some(stopped_at.map_or(number, |other: i64| other.max(number)));
                        Ok(Next::Stop)
                    }
                    None => Ok(Next::On),
                }
            })?;
            commit(self.input.as_mut(), &target)?;
        }
        self.last_number = stopped_at.unwrap_or(self.last_number);
        Ok(stopped_at)
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
            if control_number(record.value, ids) != Some(number) {
                return Ok(Next::On);
            }
            let (timestamp_ms, key, value) = (record.timestamp_ms, record.key, record.value);
            control.send(Append { topic: 0, partition: 0, timestamp_ms, key, value })?;
            for partition in 0..partitions {
                control.send(Append { topic: 1, partition, timestamp_ms, key, value })?;
            }
            Ok(Next::On)
        })?;
        commit(self.control.as_mut(), &format!("{}{CONTROL}", self.to))
    }
}

fn control_number(value: &[u8], ids: &SchemaIds) -> Option<i64> {
    let (id, body) = frame::split(value).ok()?;
    (ids.from_wire(id) == Control::ID).then(|| Control::decode(body).ok().map(|control| control.number)).flatten()
}

fn commit(transactions: &mut dyn Transactions, topic: &str) -> Result<(), ReplayError> {
    match transactions.commit() {
        CommitOutcome::Committed => Ok(()),
        CommitOutcome::Aborted(why) | CommitOutcome::Fenced(why) | CommitOutcome::Unknown(why) => {
            Err(ReplayError::NotCommitted { topic: topic.to_owned(), why })
        }
    }
}
