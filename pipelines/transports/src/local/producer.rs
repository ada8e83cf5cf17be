//! A transactional producer: gathers a transaction's records, then hands them over whole.

use std::sync::Arc;

use super::appender::{check_size, topic_of};
use super::coordinator::OffsetPlace;
use super::core::{Core, partition_of};
use super::faults::{Fault, Moment};
use super::frame::{CHUNK_BYTES, Chunk, HEADER_BYTES};
use super::log::Log;
use super::partition::{Partition, Topic};
use super::store::{OffsetWrite, Purpose, Store};
use super::writer::{Part, Unit};
use crate::{Append, CommitOutcome, Committed, Packed, Result, Transactions, TransportError};

/// The records that a transaction has for one partition.
struct Buffer {
    partition: Arc<Partition>,
    chunks: Vec<Chunk>,
    /// What the last transaction needed here: the next one starts with as much room, instead of growing into it.
    usual_bytes: usize,
    /// Whether the open transaction has written here.
    touched: bool,
}

pub(crate) struct Producer<S: Store> {
    pub log: Log<S>,
    id: String,
    epoch: u64,
    topics: Vec<Arc<Topic>>,
    /// One for each partition of each topic.
    buffers: Vec<Vec<Buffer>>,
    transaction: Option<u64>,
    bytes: usize,
    unsettled: bool,
}

impl<S: Store> Producer<S> {
    /// Takes the id over; waits for a commit of the older holder that is on its way.
    pub(crate) fn new(log: Log<S>, id: String, topics: Vec<Arc<Topic>>) -> Self {
        let buffer = |partition: &Arc<Partition>| Buffer {
            partition: Arc::clone(partition),
            chunks: Vec::new(),
            usual_bytes: 0,
            touched: false,
        };
        let buffers = topics.iter().map(|topic| topic.partitions.iter().map(buffer).collect()).collect();
        let epoch = take_over(&log, &id);
        Self { log, id, epoch, topics, buffers, transaction: None, bytes: 0, unsettled: false }
    }

    pub(crate) fn has_open_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// Refuses where somebody has taken the id over.
    pub(crate) fn check(&self) -> Result<()> {
        self.log.coordinator.lock().check(&self.id, self.epoch)
    }

    pub(crate) fn send(&mut self, append: &Append<'_>) -> Result<()> {
        check_size(append.key.len() + append.value.len(), self.log.options.max_record_bytes)?;
        let size = append.key.len() + append.value.len();
        let buffer = self.open(append.topic, append.partition, size)?;
        match buffer.chunks.last_mut() {
            Some(chunk) if chunk.bytes.len() + size < CHUNK_BYTES => {
                chunk.push(append.timestamp_ms, append.key, append.value);
            }
            _ => {
                let room = if buffer.chunks.is_empty() { buffer.usual_bytes.max(1_024) } else { CHUNK_BYTES };
                let mut chunk = Chunk::with_room(room.clamp(size + HEADER_BYTES, CHUNK_BYTES.max(size + HEADER_BYTES)));
                chunk.push(append.timestamp_ms, append.key, append.value);
                buffer.chunks.push(chunk);
            }
        }
        self.bytes += size;
        Ok(())
    }

    /// Adds records as they are packed, without a copy.
    pub(crate) fn send_packed(&mut self, topic: u16, partition: u32, records: Packed) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        check_size(records.largest_bytes, self.log.options.max_record_bytes)?;
        let size = records.size_bytes() - records.len() * HEADER_BYTES;
        self.open(topic, partition, size)?.chunks.push(records.chunk);
        self.bytes += size;
        Ok(())
    }

    /// The buffer of a partition, for `size` more bytes in the open transaction; opens one where none is.
    fn open(&mut self, topic: u16, partition: u32, size: usize) -> Result<&mut Buffer> {
        if self.bytes + size > self.log.options.max_transaction_bytes {
            return Err(TransportError::QueueFull { queued_bytes: self.bytes });
        }
        if self.unsettled {
            return Err(TransportError::Other(
                "the last commit's outcome is unknown: settle it, or open the transactional id anew".into(),
            ));
        }
        let buffers = self.buffers.get_mut(usize::from(topic));
        let Some(buffer) = buffers.and_then(|buffers| buffers.get_mut(partition as usize)) else {
            partition_of(topic_of(&self.topics, topic)?, partition)?;
            return Err(TransportError::Other("no such partition".into()));
        };
        if !buffer.touched {
            self.log.check_alive()?;
            let deadline_ms = self.log.options.clock.now_ms() + self.log.options.transaction_timeout_ms;
            let mut coordinator = self.log.coordinator.lock();
            self.transaction = Some(coordinator.write(&self.id, self.epoch, &buffer.partition, deadline_ms)?);
            buffer.touched = true;
        }
        Ok(buffer)
    }

    /// Commits what was sent together with `offsets`. `allowed` is asked under the coordinator's lock, so that nothing changes
    /// between its answer and the commit.
    pub(crate) fn commit(
        &mut self,
        offsets: Vec<OffsetWrite>,
        allowed: impl FnOnce(&mut super::coordinator::Coordinator) -> Result<()>,
        on_fence: impl FnOnce(&mut super::coordinator::Coordinator),
    ) -> CommitOutcome {
        if self.unsettled {
            return CommitOutcome::Unknown("the commit before this one is not settled".into());
        }
        if let Err(error) = self.log.check_alive() {
            self.forget();
            return CommitOutcome::Unknown(error.to_string());
        }
        // Offsets alone are small, and whoever waits for room must be able to say how far it is.
        if self.bytes > 0
            && let Err(error) = self.log.store.check_room(self.bytes, Purpose::Output)
        {
            self.drop_transaction();
            return CommitOutcome::Aborted(error.to_string());
        }
        let fault = self.log.faults.draw(Moment::Commit);
        let places: Vec<OffsetPlace> = offsets.iter().map(|o| (o.group.clone(), o.topic_id, o.partition)).collect();
        {
            let mut coordinator = self.log.coordinator.lock();
            let mut may = coordinator.check(&self.id, self.epoch).and_then(|()| allowed(&mut coordinator));
            if may.is_ok() && fault == Some(Fault::CommitFenced) {
                coordinator.take_over(&self.id);
                on_fence(&mut coordinator);
                may = Err(TransportError::Fenced("another holder took over (injected)".into()));
            }
            if let Err(error) = may.and_then(|()| coordinator.begin_commit(&self.id, self.epoch, places)) {
                drop(coordinator);
                self.drop_transaction();
                return match error {
                    TransportError::Fenced(why) => CommitOutcome::Fenced(why),
                    other => CommitOutcome::Aborted(other.to_string()),
                };
            }
        }
        match fault {
            Some(Fault::CommitAborted) => {
                drop(self.log.coordinator.lock().give_up_commit(&self.id));
                self.log.committed.notify_all();
                self.drop_transaction();
                return CommitOutcome::Aborted("aborted (injected)".into());
            }
            Some(Fault::CommitUnknownDropped) => {
                self.log.coordinator.lock().leave_undecided(&self.id);
                self.log.committed.notify_all();
                self.forget();
                self.unsettled = true;
                return CommitOutcome::Unknown("no answer to the commit (injected)".into());
            }
            _ => {}
        }
        let written = self.write(offsets);
        self.log.coordinator.lock().end_commit(&self.id);
        self.log.committed.notify_all();
        match written {
            Ok(()) if fault == Some(Fault::CommitUnknownApplied) => {
                self.unsettled = true;
                CommitOutcome::Unknown("no answer to the commit (injected)".into())
            }
            Ok(()) => CommitOutcome::Committed,
            Err(error) => {
                self.unsettled = true;
                CommitOutcome::Unknown(error.to_string())
            }
        }
    }

    fn write(&mut self, offsets: Vec<OffsetWrite>) -> Result<()> {
        let mut parts = Vec::new();
        let mut held_back = Vec::new();
        for buffer in self.buffers.iter_mut().flatten().filter(|buffer| buffer.touched) {
            buffer.touched = false;
            buffer.usual_bytes = buffer.chunks.iter().map(|chunk| chunk.bytes.len()).sum::<usize>() * 5 / 4;
            held_back.push(Arc::clone(&buffer.partition));
            let last = buffer.chunks.len().saturating_sub(1);
            for (n, chunk) in buffer.chunks.drain(..).enumerate() {
                // The commit marker takes an offset behind the last record.
                let gap = u32::from(n == last);
                parts.push(Part { partition: Arc::clone(&buffer.partition), chunk, gap });
            }
        }
        self.bytes = 0;
        let transaction = self.transaction.take().map(|number| (number, held_back));
        if parts.is_empty() && offsets.is_empty() {
            return Ok(());
        }
        self.log.write_and_wait(|waiter| Unit { parts, offsets, transaction, waiter, queued_bytes: 0 })
    }

    /// Ends the open transaction without effect.
    pub(crate) fn abort(&mut self) -> Result<()> {
        self.log.check_alive()?;
        if self.unsettled {
            return Err(TransportError::Other(
                "the last commit's outcome is unknown: settle instead of aborting".into(),
            ));
        }
        self.check()?;
        self.drop_transaction();
        Ok(())
    }

    /// Aborts where this is still the holder; forgets what was gathered in any case.
    pub(crate) fn drop_transaction(&mut self) {
        if self.transaction.is_some() {
            // On Kafka the records themselves would have taken offsets too.
            for buffer in self.buffers.iter().flatten().filter(|buffer| buffer.touched) {
                buffer.partition.skip(buffer.chunks.iter().map(|chunk| u64::from(chunk.count)).sum());
            }
            // Fenced: whoever took over has aborted it.
            let _aborted = self.log.coordinator.lock().abort(&self.id, self.epoch);
            self.log.wake.notify();
        }
        self.forget();
    }

    fn forget(&mut self) {
        for buffer in self.buffers.iter_mut().flatten().filter(|buffer| buffer.touched) {
            buffer.touched = false;
            buffer.chunks.clear();
        }
        self.bytes = 0;
        self.transaction = None;
    }

    /// Begins anew under the same id: what was undecided is decided.
    pub(crate) fn settle(&mut self) -> Result<()> {
        self.log.check_alive()?;
        self.check()?;
        self.forget();
        self.epoch = take_over(&self.log, &self.id);
        self.unsettled = false;
        Ok(())
    }
}

fn take_over<S: Store>(log: &Core<S>, id: &str) -> u64 {
    let mut coordinator = log.coordinator.lock();
    while coordinator.is_committing(id) {
        log.committed.wait(&mut coordinator);
    }
    let epoch = coordinator.take_over(id);
    drop(coordinator);
    log.wake.notify();
    epoch
}

impl<S: Store> Core<S> {
    /// Sets a group's offset without asking who owns the partition.
    pub(crate) fn commit_foreign(&self, group: &str, place: &Partition, committed: Committed) -> Result<()> {
        let (group, topic_id, partition) = (group.to_owned(), place.topic_id, place.index);
        let offsets = vec![OffsetWrite { group, topic_id, partition, committed }];
        self.write_and_wait(|waiter| Unit { parts: Vec::new(), offsets, transaction: None, waiter, queued_bytes: 0 })
    }

    pub(crate) fn committed_in(&self, group: &str, place: &Partition) -> Result<Option<Committed>> {
        self.expire();
        let mut coordinator = self.coordinator.lock();
        while coordinator.is_on_the_way(group, place.topic_id, place.index) {
            self.committed.wait(&mut coordinator);
        }
        if coordinator.is_undecided(group, place.topic_id, place.index) {
            return Err(TransportError::Unavailable(format!(
                "{}[{}]: a transaction of unknown outcome is pending on group {group}'s offset; settle it",
                place.topic, place.index
            )));
        }
        let group = coordinator.groups.get(group);
        Ok(group.and_then(|group| group.offsets.get(&(place.topic_id, place.index))).cloned())
    }
}

/// Transactions without input.
pub(crate) struct LocalTransactions<S: Store> {
    producer: Producer<S>,
}

impl<S: Store> LocalTransactions<S> {
    pub(crate) fn new(log: Log<S>, id: &str, topics: &[String]) -> Result<Self> {
        log.check_alive()?;
        let topics = log.topics_named(topics)?;
        Ok(Self { producer: Producer::new(log, id.to_owned(), topics) })
    }
}

impl<S: Store> Transactions for LocalTransactions<S> {
    fn send(&mut self, append: Append<'_>) -> Result<()> {
        self.producer.send(&append)
    }

    fn commit(&mut self) -> CommitOutcome {
        self.producer.commit(Vec::new(), |_| Ok(()), |_| ())
    }

    fn abort(&mut self) -> Result<()> {
        self.producer.abort()
    }
}
