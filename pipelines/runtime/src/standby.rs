//! Warm standbys: the state of partitions that another process owns, kept up to date here, so that taking one over replays next to
//! nothing.
//!
//! A standby is recovery run early: the newest snapshot, then the records up to the group's committed offset, outputs dropped. It reads
//! outside the group and owns nothing. When its partition is assigned to a worker of this process, the worker takes the state.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use millstream_transports::{Batch, Reader, TopicPartition, Transport, TransportError};
use parking_lot::Mutex;

use crate::outputs::Outputs;
use crate::snapshot::recovery::{Position, newest_usable};
use crate::snapshot::{RecoveryError, SnapshotStore, TaskName};
use crate::stage::{Stage, StageFactory};
use crate::task::{Processed, Task};

/// Between two rounds over all partitions.
const ROUND: Duration = Duration::from_millis(100);
/// Polls of one partition in a round, at most: the others wait meanwhile, and so does a worker that wants to take it.
const POLLS_A_ROUND: usize = 16;

/// A state that waits to be taken.
pub(crate) struct Kept {
    pub stage: Box<dyn Stage>,
    /// It is that of all records before this offset.
    pub next: u64,
}

/// A state that is kept up to date.
struct Following {
    task: Task,
    /// Reads on from the task's position.
    reader: Option<Box<dyn Reader>>,
}

#[derive(Default)]
struct Slot {
    /// A worker of this process has the partition.
    is_owned: bool,
    following: Option<Following>,
}

/// The standbys of one stage in one process: filled by its [`StandbyKeeper`], emptied by its workers.
#[derive(Default)]
pub struct Standbys {
    slots: Mutex<BTreeMap<TopicPartition, Arc<Mutex<Slot>>>>,
    /// Standbys that are up to the committed offset, as of the last round; for metrics.
    pub warm: AtomicU64,
}

impl std::fmt::Debug for Standbys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Standbys").field("warm", &self.warm).finish_non_exhaustive()
    }
}

impl Standbys {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn slot(&self, at: TopicPartition) -> Arc<Mutex<Slot>> {
        Arc::clone(self.slots.lock().entry(at).or_default())
    }

    /// A worker takes the partition over, with what is kept of it. One that is ahead of `committed` is of no use.
    pub(crate) fn take(&self, at: TopicPartition, committed: u64) -> Option<Kept> {
        let slot = self.slot(at);
        let mut slot = slot.lock();
        slot.is_owned = true;
        let Following { task, .. } = slot.following.take()?;
        let next = task.next();
        (next <= committed).then(|| Kept { stage: task.stage, next })
    }

    /// A worker has lost the partition: it may be kept here again.
    pub(crate) fn release(&self, at: TopicPartition) {
        self.slot(at).lock().is_owned = false;
    }
}

/// Keeps the standbys of one stage.
pub struct StandbyKeeper {
    transport: Arc<dyn Transport>,
    factory: Arc<dyn StageFactory>,
    store: Arc<dyn SnapshotStore>,
    namespace: String,
    standbys: Arc<Standbys>,
    batch: Batch,
    out: Outputs,
}

impl StandbyKeeper {
    /// A keeper for all partitions of the stage's inputs that no worker of this process owns.
    pub fn new(
        transport: Arc<dyn Transport>,
        factory: Arc<dyn StageFactory>,
        store: Arc<dyn SnapshotStore>,
        namespace: String,
        standbys: Arc<Standbys>,
    ) -> Self {
        Self { transport, factory, store, namespace, standbys, batch: Batch::new(), out: Outputs::new() }
    }

    /// The stage's name.
    pub fn stage(&self) -> &'static str {
        self.factory.name()
    }

    /// Runs until `stop` is set. What cannot be reached is tried again: a standby is never needed.
    pub fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Acquire) {
            self.round();
            std::thread::sleep(ROUND);
        }
    }

    /// Brings every standby nearer to its committed offset. Returns how many have reached it.
    pub fn round(&mut self) -> u64 {
        let mut warm = 0;
        for (topic, input) in self.factory.inputs().iter().enumerate() {
            for partition in 0..input.partitions {
                // A stage has a handful of inputs.
                let at = TopicPartition { topic: topic as u16, partition };
                match self.keep(at, &format!("{}{}", self.namespace, input.name)) {
                    Ok(is_warm) => warm += u64::from(is_warm),
                    Err(error) => {
                        let stage = self.factory.name();
                        tracing::debug!(stage, partition, %error, "standby not kept; tried again");
                        if let Some(following) = &mut self.standbys.slot(at).lock().following {
                            following.reader = None;
                        }
                    }
                }
            }
        }
        self.standbys.warm.store(warm, Ordering::Relaxed);
        warm
    }

    fn keep(&mut self, at: TopicPartition, topic: &str) -> Result<bool, RecoveryError> {
        let slot = self.standbys.slot(at);
        let mut slot = slot.lock();
        if slot.is_owned {
            return Ok(false);
        }
        let group = format!("{}{}", self.namespace, self.factory.name());
        let committed = self.transport.committed(&group, topic, at.partition).map_err(unreachable)?;
        let committed = committed.map_or(0, |committed| committed.offset);
        if slot.following.as_ref().is_none_or(|following| following.task.next() > committed) {
            let restored = self.restore(at, topic, committed)?;
            slot.following = restored.map(|task| Following { task, reader: None });
        }
        let Some(Following { task, reader }) = &mut slot.following else { return Ok(false) };
        task.follow_to(committed);
        for _ in 0..POLLS_A_ROUND {
            if !task.is_replaying() {
                break;
            }
            if reader.is_none() {
                *reader = Some(self.transport.reader(topic, at.partition, task.next()).map_err(unreachable)?);
            }
            let Some(open) = reader else { break };
            match open.poll(Duration::ZERO, &mut self.batch) {
                // The log went on without us: snapshots are newer.
                Err(TransportError::OffsetOutOfRange { .. }) => {
                    slot.following = None;
                    return Ok(false);
                }
                polled => polled.map_err(unreachable)?,
            }
            // A reader at 0 begins wherever the log does, and says nothing of what is gone.
            if task.next() == 0 && self.transport.earliest(topic, at.partition).map_err(unreachable)? > 0 {
                slot.following = None;
                return Ok(false);
            }
            for record in self.batch.iter() {
                if record.offset >= committed {
                    // Processed when it is committed; then it is read again.
                    task.skip_to(committed);
                    *reader = None;
                    break;
                }
                if let Processed::Panicked(_) = task.process(record, &mut self.out) {
                    // As in the worker: undone, and diverted when it comes again.
                    task.undo_epoch();
                    *reader = None;
                    break;
                }
            }
            task.commit_replay();
            self.out.clear();
            if self.batch.is_empty() {
                break;
            }
        }
        Ok(!task.is_replaying())
    }

    /// The newest snapshot, else the beginning of the log where that is still there. `None`: there is nothing to begin with yet.
    fn restore(&self, at: TopicPartition, topic: &str, committed: u64) -> Result<Option<Task>, RecoveryError> {
        let earliest = self.transport.earliest(topic, at.partition).map_err(unreachable)?;
        let topic_id = self.transport.topic_id(topic).map_err(unreachable)?;
        // A snapshot of another logic is refused; what begins with the log is made by this one throughout.
        let position = Position { topic_id, partition: at.partition, committed, logic_version: None, earliest };
        let task = TaskName { group: format!("{}{}", self.namespace, self.factory.name()), partition: at.partition };
        let (found, _reasons) = newest_usable(&*self.store, &task, &self.factory, &position)?;
        if let Some((stage, manifest)) = found {
            return Ok(Some(Task::new(at, stage, manifest.offset, committed)));
        }
        if earliest > 0 {
            return Ok(None);
        }
        let mut stage = self.factory.make(at.partition);
        if let Some(state) = stage.snapshots() {
            state.track();
        }
        Ok(Some(Task::new(at, stage, 0, committed)))
    }
}

fn unreachable(error: TransportError) -> RecoveryError {
    crate::snapshot::StoreError::Unavailable(error.to_string()).into()
}
