//! A group member that runs the tasks of the partitions it owns, one thread, epoch by epoch.
//!
//! | what happens | state | input | outputs |
//! |---|---|---|---|
//! | committed | kept | goes on | visible |
//! | aborted | undone | rewound to the epoch's start | never visible |
//! | fenced | dropped | left to the new owner | never visible |
//! | unknown, then committed offset = ours | kept | goes on | visible |
//! | unknown, then committed offset = the epoch's start | undone | rewound | never visible |
//! | unknown, then anything else | dropped, reloaded by replay | from the log | whatever the log says |
//! | panic | undone | rewound, the record is then diverted | never visible |

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use millstream_transports::{
    Append, Batch, Change, CommitOutcome, Member, MemberConfig, OffsetCommit, TopicPartition, Transport, TransportError,
};

use crate::clock::Clock;
use crate::outputs::Outputs;
use crate::stage::StageFactory;
use crate::task::{Processed, Task};

/// When an epoch ends although input is still waiting.
#[derive(Debug, Clone, Copy)]
pub struct EpochLimits {
    /// Longest epoch, milliseconds of the monotonic clock.
    pub max_ms: u64,
    /// Most output bytes (and, separately, most undo-log bytes).
    pub max_bytes: usize,
}

impl Default for EpochLimits {
    fn default() -> Self {
        Self { max_ms: 20, max_bytes: 8 << 20 }
    }
}

/// How a worker runs.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Prefix of topics and groups, so that one cluster holds several namespaces; empty for none.
    pub namespace: String,
    /// Static member id, unique within the group.
    pub instance_id: String,
    /// When an epoch ends.
    pub limits: EpochLimits,
    /// How long an owned partition is read to its end and idle before a tick is appended; `None`: no ticks (no live upstream).
    pub tick_after_ms: Option<u64>,
    /// Panics on one partition after which it is stopped: a bad deploy is not a poison pill.
    pub max_poisoned: usize,
}

/// Why a worker stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The log failed in a way that retrying does not mend.
    #[error("{stage}: {source}")]
    Transport {
        /// Stage name.
        stage: &'static str,
        /// The log's error.
        source: TransportError,
    },
    /// Too many records made the stage panic.
    #[error(
        "{stage}[{partition}]: {count} records made the operator panic, the last one at offset {offset}: {message}; stop and roll the binary back"
    )]
    PoisonBurst {
        /// Stage name.
        stage: &'static str,
        /// Input partition.
        partition: u32,
        /// How many.
        count: usize,
        /// The last one's offset.
        offset: u64,
        /// Its message.
        message: String,
    },
    /// The stage can take no more input.
    #[error("{stage}[{partition}]: {why}")]
    Blocked {
        /// Stage name.
        stage: &'static str,
        /// Input partition.
        partition: u32,
        /// In the stage's words.
        why: String,
    },
}

/// Counters a worker keeps; readable from other threads.
#[derive(Debug, Default)]
pub struct WorkerStats {
    /// Records processed live.
    pub processed: AtomicU64,
    /// Records replayed with outputs suppressed.
    pub replayed: AtomicU64,
    /// Records produced and committed.
    pub produced: AtomicU64,
    /// Epochs committed.
    pub commits: AtomicU64,
    /// Epochs undone.
    pub aborts: AtomicU64,
    /// Records diverted after a panic.
    pub diverted: AtomicU64,
    /// Keys held by the owned tasks.
    pub state_keys: AtomicU64,
    /// Partitions owned.
    pub owned: AtomicU64,
    /// How often all owned partitions were found read to their end, with everything committed. Two more than when you asked means
    /// that what was in the log when you asked has been processed.
    pub caught_up_checks: AtomicU64,
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Records were processed or an epoch was committed.
    Worked,
    /// There was nothing to do.
    Idle,
}

/// A group member with its tasks.
pub struct Worker {
    transport: Arc<dyn Transport>,
    factory: Arc<dyn StageFactory>,
    clock: Arc<dyn Clock>,
    config: WorkerConfig,
    member: Option<Box<dyn Member>>,
    tasks: BTreeMap<TopicPartition, Task>,
    batch: Batch,
    changes: Vec<Change>,
    out: Outputs,
    epoch_started: Option<Duration>,
    idle_since: Option<Duration>,
    stats: Arc<WorkerStats>,
}

/// Longest wait for input in one step.
const MAX_POLL: Duration = Duration::from_millis(50);

impl Worker {
    /// Creates the topics that are missing and joins the stage's group.
    ///
    /// # Errors
    /// Where topics differ in partition count or the log cannot be reached.
    pub fn new(
        transport: Arc<dyn Transport>,
        factory: Arc<dyn StageFactory>,
        clock: Arc<dyn Clock>,
        config: WorkerConfig,
    ) -> Result<Self, WorkerError> {
        let mut worker = Self {
            transport,
            factory,
            clock,
            config,
            member: None,
            tasks: BTreeMap::new(),
            batch: Batch::new(),
            changes: Vec::new(),
            out: Outputs::new(),
            epoch_started: None,
            idle_since: None,
            stats: Arc::new(WorkerStats::default()),
        };
        worker.join()?;
        Ok(worker)
    }

    /// The worker's counters.
    pub fn stats(&self) -> Arc<WorkerStats> {
        Arc::clone(&self.stats)
    }

    /// Runs until `stop` is set, then commits what is open and leaves the group.
    ///
    /// # Errors
    /// What [`Worker::step`] returns; the group is left then, too.
    pub fn run(mut self, stop: &AtomicBool) -> Result<(), WorkerError> {
        while !stop.load(Ordering::Acquire) {
            if let Err(error) = self.step() {
                self.abandon();
                return Err(error);
            }
        }
        self.close()
    }

    /// Commits the open epoch and leaves the group in order.
    ///
    /// # Errors
    /// Where the log fails.
    pub fn close(mut self) -> Result<(), WorkerError> {
        self.end_epoch()?;
        if let Some(member) = self.member.take() {
            member.close().map_err(|source| self.transport_error(source))?;
        }
        Ok(())
    }

    /// One step: poll, serve ownership changes or process what came, end the epoch when it is due.
    ///
    /// # Errors
    /// Only those that retrying does not mend; everything else (aborts, fencing, unavailability) is handled here.
    pub fn step(&mut self) -> Result<Step, WorkerError> {
        if self.member.is_none() {
            self.join()?;
        }
        let wait = self.poll_wait();
        let Some(member) = self.member.as_mut() else { return Ok(Step::Idle) };
        match member.poll(wait, &mut self.batch, &mut self.changes) {
            Ok(()) => {}
            Err(TransportError::Fenced(why)) => {
                tracing::warn!(stage = self.factory.name(), %why, "fenced while polling; rejoining");
                self.abandon();
                return Ok(Step::Worked);
            }
            Err(TransportError::Unavailable(why)) => {
                tracing::warn!(stage = self.factory.name(), %why, "the log cannot be reached; retrying");
                return Ok(Step::Idle);
            }
            Err(source) => return Err(self.transport_error(source)),
        }
        if !self.changes.is_empty() {
            self.apply_changes()?;
            return Ok(Step::Worked);
        }
        let worked = !self.batch.is_empty();
        if worked {
            self.idle_since = None;
            self.process_batch()?;
        }
        if self.epoch_due(!worked) {
            self.end_epoch()?;
            return Ok(Step::Worked);
        }
        if worked {
            return Ok(Step::Worked);
        }
        self.when_idle()?;
        Ok(Step::Idle)
    }

    fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.config.namespace)
    }

    fn join(&mut self) -> Result<(), WorkerError> {
        let mut topics = self.factory.inputs();
        topics.extend(self.factory.outputs());
        for topic in &mut topics {
            topic.name = self.topic(&topic.name);
        }
        let member = self.transport.ensure_topics(&topics).and_then(|()| {
            self.transport.member(MemberConfig {
                group: self.topic(self.factory.name()),
                instance_id: self.config.instance_id.clone(),
                inputs: self.factory.inputs().iter().map(|topic| self.topic(&topic.name)).collect(),
                outputs: self.factory.outputs().iter().map(|topic| self.topic(&topic.name)).collect(),
            })
        });
        self.member = Some(member.map_err(|source| self.transport_error(source))?);
        Ok(())
    }

    /// Drops member, state and the open epoch; the next step joins anew and replays.
    fn abandon(&mut self) {
        self.tasks.clear();
        self.clear_epoch();
        self.member = None;
        self.stats.owned.store(0, Ordering::Release);
    }

    fn poll_wait(&self) -> Duration {
        match self.epoch_started {
            // Anything that is already there goes into the open epoch; otherwise it ends.
            Some(_) => Duration::ZERO,
            None => MAX_POLL,
        }
    }

    fn apply_changes(&mut self) -> Result<(), WorkerError> {
        let changes = std::mem::take(&mut self.changes);
        for change in &changes {
            if let Change::Revoked { partitions, lost } = change {
                tracing::info!(stage = self.factory.name(), count = partitions.len(), lost, "partitions revoked");
                for partition in partitions {
                    self.tasks.remove(partition);
                }
            }
        }
        // Ownership moved, so the transport has aborted the open transaction: nothing of this epoch will be visible. What we
        // keep goes back to its last commit.
        self.undo_epoch()?;
        for change in changes {
            if let Change::Assigned(partitions) = change {
                for partition in partitions {
                    self.load(partition)?;
                }
            }
        }
        self.stats.owned.store(self.tasks.len() as u64, Ordering::Release);
        Ok(())
    }

    /// Makes the task of a partition: empty state, the whole retained log replayed up to the committed offset.
    fn load(&mut self, partition: TopicPartition) -> Result<(), WorkerError> {
        let Some(member) = self.member.as_mut() else { return Ok(()) };
        let loaded = member.committed(partition).and_then(|committed| {
            let committed = committed.map_or(0, |committed| committed.offset);
            member.earliest(partition).and_then(|start| member.seek(partition, start).map(|()| (start, committed)))
        });
        let (start, committed) = loaded.map_err(|source| self.transport_error(source))?;
        tracing::info!(
            stage = self.factory.name(),
            partition = partition.partition,
            start,
            committed,
            "task starts; outputs below the committed offset are suppressed"
        );
        self.tasks.insert(partition, Task::new(partition, self.factory.make(partition.partition), start, committed));
        Ok(())
    }

    fn process_batch(&mut self) -> Result<(), WorkerError> {
        if self.epoch_started.is_none() {
            self.epoch_started = Some(self.clock.monotonic());
        }
        let batch = std::mem::take(&mut self.batch);
        let mut live = 0;
        let mut replayed = 0;
        let mut result = Ok(());
        for record in batch.iter() {
            let at = TopicPartition { topic: record.topic, partition: record.partition };
            // Our own filter: the broker does not check who owns a partition.
            let Some(task) = self.tasks.get_mut(&at) else { continue };
            match task.process(record, &mut self.out) {
                Processed::Live => live += 1,
                Processed::Replayed => replayed += 1,
                Processed::Skipped => {}
                Processed::Panicked(message) => {
                    result = self.on_panic(at, record.offset, message);
                    break;
                }
            }
        }
        self.batch = batch;
        self.stats.processed.fetch_add(live, Ordering::Relaxed);
        self.stats.replayed.fetch_add(replayed, Ordering::Relaxed);
        if live == 0 && self.out.is_empty() {
            for task in self.tasks.values_mut() {
                task.commit_replay();
            }
        }
        result?;
        for task in self.tasks.values() {
            if let Some(why) = task.blocked() {
                let partition = task.partition.partition;
                return Err(WorkerError::Blocked { stage: self.factory.name(), partition, why });
            }
        }
        Ok(())
    }

    fn on_panic(&mut self, at: TopicPartition, offset: u64, message: String) -> Result<(), WorkerError> {
        let stage = self.factory.name();
        tracing::error!(
            stage,
            partition = at.partition,
            offset,
            message,
            "the operator panicked; the record will be diverted"
        );
        self.stats.diverted.fetch_add(1, Ordering::Relaxed);
        let count = self.tasks.get(&at).map_or(0, Task::poisoned_count);
        if count > self.config.max_poisoned {
            return Err(WorkerError::PoisonBurst { stage, partition: at.partition, count, offset, message });
        }
        self.undo_epoch()
    }

    fn epoch_due(&self, drained: bool) -> bool {
        let Some(started) = self.epoch_started else { return false };
        let undo_bytes: usize = self.tasks.values().map(Task::undo_bytes).sum();
        drained
            || self.out.size_bytes() >= self.config.limits.max_bytes
            || undo_bytes >= self.config.limits.max_bytes
            || self.clock.monotonic().saturating_sub(started) >= Duration::from_millis(self.config.limits.max_ms)
    }

    fn clear_epoch(&mut self) {
        self.out.clear();
        self.epoch_started = None;
    }

    fn undo_epoch(&mut self) -> Result<(), WorkerError> {
        self.clear_epoch();
        let Some(member) = self.member.as_mut() else { return Ok(()) };
        let mut result = member.abort();
        for task in self.tasks.values_mut() {
            let from = task.undo_epoch();
            if result.is_ok() {
                result = member.seek(task.partition, from);
            }
        }
        self.stats.aborts.fetch_add(1, Ordering::Relaxed);
        result.map_err(|source| self.transport_error(source))
    }

    fn end_epoch(&mut self) -> Result<(), WorkerError> {
        let offsets: Vec<OffsetCommit> = self
            .tasks
            .values()
            .filter_map(|task| {
                let offset = task.offset_to_commit()?;
                Some(OffsetCommit { partition: task.partition, offset, metadata: String::new() })
            })
            .collect();
        if offsets.is_empty() {
            for task in self.tasks.values_mut() {
                task.commit_replay();
            }
            self.clear_epoch();
            return Ok(());
        }
        let produced = self.out.len() as u64;
        let outcome = self.send_and_commit(&offsets);
        match outcome {
            CommitOutcome::Committed => {
                for task in self.tasks.values_mut() {
                    task.commit_epoch();
                }
                self.clear_epoch();
                self.stats.produced.fetch_add(produced, Ordering::Relaxed);
                self.stats.commits.fetch_add(1, Ordering::Relaxed);
                let keys: usize = self.tasks.values().map(Task::state_keys).sum();
                self.stats.state_keys.store(keys as u64, Ordering::Relaxed);
                Ok(())
            }
            CommitOutcome::Aborted(why) => {
                tracing::warn!(stage = self.factory.name(), %why, "epoch aborted; undone and read again");
                self.undo_epoch()
            }
            CommitOutcome::Fenced(why) => {
                tracing::warn!(stage = self.factory.name(), %why, "fenced at commit; rejoining");
                self.abandon();
                Ok(())
            }
            CommitOutcome::Unknown(why) => {
                tracing::warn!(stage = self.factory.name(), %why, "commit outcome unknown; settling");
                self.settle(&offsets)
            }
        }
    }

    fn send_and_commit(&mut self, offsets: &[OffsetCommit]) -> CommitOutcome {
        let Some(member) = self.member.as_mut() else { return CommitOutcome::Fenced("not a member".to_owned()) };
        for append in self.out.iter() {
            match member.send(append) {
                Ok(()) => {}
                Err(TransportError::Fenced(why)) => return CommitOutcome::Fenced(why),
                Err(error) => return CommitOutcome::Aborted(error.to_string()),
            }
        }
        member.commit(offsets)
    }

    /// Finds out what became of a commit whose outcome nobody told us.
    fn settle(&mut self, offsets: &[OffsetCommit]) -> Result<(), WorkerError> {
        let Some(member) = self.member.as_mut() else { return Ok(()) };
        let settled = member.settle().and_then(|()| {
            let mut ours = 0;
            let mut start = 0;
            for offset in offsets {
                let now = member.committed(offset.partition)?.map_or(0, |committed| committed.offset);
                let began = self.tasks.get(&offset.partition).map_or(0, Task::epoch_start);
                ours += usize::from(now == offset.offset);
                start += usize::from(now <= began);
            }
            Ok((ours, start))
        });
        match settled {
            Ok((ours, _)) if ours == offsets.len() => {
                for task in self.tasks.values_mut() {
                    task.commit_epoch();
                }
                self.clear_epoch();
                self.stats.commits.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Ok((_, start)) if start == offsets.len() => self.undo_epoch(),
            Ok(_) | Err(TransportError::Fenced(_) | TransportError::Unavailable(_)) => {
                self.abandon();
                Ok(())
            }
            Err(source) => Err(self.transport_error(source)),
        }
    }

    /// Everything owned is read and committed: note it, and let time pass where nobody else does.
    fn when_idle(&mut self) -> Result<(), WorkerError> {
        let now = self.clock.monotonic();
        let since = *self.idle_since.get_or_insert(now);
        let Some(member) = self.member.as_mut() else { return Ok(()) };
        let mut ended = Vec::with_capacity(self.tasks.len());
        for task in self.tasks.values() {
            let at_end = member.at_end(task.partition);
            match at_end {
                Ok(true) if !task.is_replaying() => ended.push(task.partition),
                Ok(_) => {}
                Err(TransportError::Unavailable(_)) => return Ok(()),
                Err(source) => return Err(self.transport_error(source)),
            }
        }
        if ended.len() == self.tasks.len() && !self.tasks.is_empty() {
            self.stats.caught_up_checks.fetch_add(1, Ordering::Release);
        }
        let Some(tick_after_ms) = self.config.tick_after_ms else { return Ok(()) };
        if now.saturating_sub(since) < Duration::from_millis(tick_after_ms) || ended.is_empty() {
            return Ok(());
        }
        self.idle_since = Some(now);
        self.append_ticks(&ended)
    }

    fn append_ticks(&mut self, partitions: &[TopicPartition]) -> Result<(), WorkerError> {
        let now_ms = self.clock.now_ms();
        let Some((topic, value)) = self.factory.tick(now_ms) else { return Ok(()) };
        let Some(member) = self.member.as_mut() else { return Ok(()) };
        for partition in partitions {
            let tick = Append { topic, partition: partition.partition, timestamp_ms: now_ms, key: &[], value: &value };
            if let Err(error) = member.send(tick) {
                tracing::warn!(stage = self.factory.name(), %error, "tick not appended");
                return self.undo_epoch();
            }
        }
        // A lost or doubled tick does no harm: it carries a time, not a count.
        match member.commit(&[]) {
            CommitOutcome::Committed => Ok(()),
            CommitOutcome::Aborted(_) => self.undo_epoch(),
            CommitOutcome::Unknown(_) => self.settle(&[]),
            CommitOutcome::Fenced(_) => {
                self.abandon();
                Ok(())
            }
        }
    }

    fn transport_error(&self, source: TransportError) -> WorkerError {
        WorkerError::Transport { stage: self.factory.name(), source }
    }
}
