//! What all handles of one local log share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex, RwLock};

use super::coordinator::Coordinator;
use super::faults::Faults;
use super::options::LocalOptions;
use super::partition::{Partition, Topic};
use super::segment::Segment;
use super::store::{PartitionRef, Store};
use super::writer::{Queue, WriteMode};
use crate::{Batch, Result, Retention, TransportError};

/// Wakes pollers when there may be something new.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    version: Mutex<u64>,
    changed: Condvar,
}

impl Wake {
    pub(crate) fn version(&self) -> u64 {
        *self.version.lock()
    }

    pub(crate) fn notify(&self) {
        *self.version.lock() += 1;
        self.changed.notify_all();
    }

    /// Waits until something changed since `seen`; false once the deadline has come, so that a busy log keeps nobody longer.
    pub(crate) fn wait(&self, seen: u64, deadline: Instant) -> bool {
        let mut version = self.version.lock();
        while *version == seen {
            if self.changed.wait_until(&mut version, deadline).timed_out() {
                return false;
            }
        }
        Instant::now() < deadline
    }
}

pub(crate) struct Core<S> {
    pub store: S,
    pub options: LocalOptions,
    pub topics: RwLock<BTreeMap<String, Arc<Topic>>>,
    pub retention: RwLock<BTreeMap<String, Retention>>,
    pub coordinator: Mutex<Coordinator>,
    /// Signalled when a commit is no longer on its way.
    pub committed: Condvar,
    pub queue: Queue,
    pub wake: Wake,
    pub faults: Arc<Faults>,
    /// Why this log is over, once it is.
    pub over: RwLock<Option<String>>,
}

impl<S: Store> Core<S> {
    pub(crate) fn new(
        store: S,
        topics: BTreeMap<String, Arc<Topic>>,
        retention: BTreeMap<String, Retention>,
        coordinator: Coordinator,
        options: LocalOptions,
        mode: WriteMode,
        faults: Arc<Faults>,
    ) -> Self {
        Self {
            store,
            options,
            topics: RwLock::new(topics),
            retention: RwLock::new(retention),
            coordinator: Mutex::new(coordinator),
            committed: Condvar::new(),
            queue: Queue::new(mode),
            wake: Wake::default(),
            faults,
            over: RwLock::new(None),
        }
    }

    pub(crate) fn topic(&self, name: &str) -> Result<Arc<Topic>> {
        self.topics.read().get(name).cloned().ok_or_else(|| TransportError::UnknownTopic(name.to_owned()))
    }

    pub(crate) fn topics_named(&self, names: &[String]) -> Result<Vec<Arc<Topic>>> {
        names.iter().map(|name| self.topic(name)).collect()
    }

    pub(crate) fn partition(&self, topic: &str, partition: u32) -> Result<Arc<Partition>> {
        let topic = self.topic(topic)?;
        partition_of(&topic, partition).cloned()
    }

    /// Refuses once the log has failed or crashed.
    pub(crate) fn check_alive(&self) -> Result<()> {
        match &*self.over.read() {
            None => Ok(()),
            Some(why) => Err(TransportError::Unavailable(why.clone())),
        }
    }

    /// Ends the log: nothing is accepted or answered any more.
    pub(crate) fn end(&self, why: &str) {
        self.over.write().get_or_insert_with(|| why.to_owned());
        self.wake.notify();
    }

    /// Ends memberships and transactions whose time is up.
    pub(crate) fn expire(&self) {
        if self.coordinator.lock().expire(self.options.clock.now_ms()) {
            self.wake.notify();
        }
    }

    /// Delivers what is stable from `offset` on, which it moves, until the batch is full. Returns whether it is.
    pub(crate) fn fill(&self, partition: &Partition, offset: &mut u64, topic: u16, batch: &mut Batch) -> Result<bool> {
        let limit = self.options.poll_bytes;
        let wanted = limit.saturating_sub(batch.size_bytes());
        let mut view = partition.view(*offset, wanted);
        if *offset < view.earliest {
            if *offset != 0 {
                return Err(TransportError::OffsetOutOfRange {
                    topic: partition.topic.clone(),
                    partition: partition.index,
                    offset: *offset,
                    earliest: view.earliest,
                });
            }
            *offset = view.earliest;
            view = partition.view(*offset, wanted);
        }
        if view.cold {
            let place = partition.reference();
            let chunks = self.store.read(place, *offset, view.earliest, wanted)?;
            view.segments =
                chunks.into_iter().map(|placed| Arc::new(Segment::whole(placed.base, placed.chunk))).collect();
        }
        for segment in &view.segments {
            if segment.deliver(offset, view.stable_end, limit, topic, partition.index, batch) {
                return Ok(true);
            }
        }
        Ok(batch.size_bytes() >= limit)
    }
}

impl Partition {
    pub(crate) fn reference(&self) -> PartitionRef<'_> {
        PartitionRef { topic_id: self.topic_id, topic: &self.topic, partition: self.index }
    }
}

pub(crate) fn partition_of(topic: &Topic, partition: u32) -> Result<&Arc<Partition>> {
    topic.partitions.get(partition as usize).ok_or_else(|| {
        TransportError::Other(format!(
            "topic {} has {} partitions; there is no partition {partition}",
            topic.name,
            topic.partitions.len()
        ))
    })
}
