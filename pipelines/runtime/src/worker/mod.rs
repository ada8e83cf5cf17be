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

mod epoch;
mod fencings;
mod idle;
mod ledger;
mod ownership;
mod pauses;
pub(crate) mod snapshots;

pub use ledger::is_stamped;
pub use pauses::Pauses;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use millstream_transports::{Batch, Change, Member, TopicPartition, Transport, TransportError};

use crate::clock::Clock;
use crate::outputs::Outputs;
use crate::snapshot::background::Background;
use crate::snapshot::{RecoveryError, SnapshotSettings};
use crate::stage::StageFactory;
use crate::standby::Standbys;
use crate::task::Task;
use fencings::Fencings;

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
    /// Panics in a row on one partition after which it is stopped: a bad deploy is not a poison pill.
    pub max_poisoned: usize,
    /// States that are kept warm in this process.
    pub standbys: Option<Arc<Standbys>>,
    /// Snapshots of the tasks' state; `None`: state is rebuilt by replaying the whole input.
    pub snapshots: Option<SnapshotSettings>,
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
    /// The log no longer reaches back to where the state begins: replaying what is left would give a silently emptier state.
    #[error(
        "{stage}[{partition}]: the input begins at offset {earliest}, but the state is made of all records up to {committed}; keep \
         input for ever (`retention_hours = 0`) or rebuild into a new namespace"
    )]
    Truncated {
        /// Stage name.
        stage: &'static str,
        /// Input partition.
        partition: u32,
        /// The earliest offset left.
        earliest: u64,
        /// The group's committed offset.
        committed: u64,
    },
    /// Somebody else has committed the group's offset, and the ledger that says how far the stage was begins too late.
    #[error(
        "{stage}[{partition}]: the group's offset {told} was not committed by this stage, and the ledger no longer says how far it \
         was; going on could write outputs twice or leave some out: rebuild into a new namespace"
    )]
    LedgerTruncated {
        /// Stage name.
        stage: &'static str,
        /// Input partition.
        partition: u32,
        /// What the group's offset says.
        told: u64,
    },
    /// A task's state cannot be had.
    #[error("{stage}[{partition}]: {source}")]
    Recovery {
        /// Stage name.
        stage: &'static str,
        /// Input partition.
        partition: u32,
        /// Why.
        source: RecoveryError,
    },
    /// Another process uses the same name, and each takes the other's partitions for ever.
    #[error(
        "{stage}: fenced {fencings} times within {seconds} s, the last time because: {why}. Another process runs with the same \
         instance name \"{instance}\": give every process a name of its own (setting `instance`), or stop the other one"
    )]
    SameInstance {
        /// Stage name.
        stage: &'static str,
        /// The name, with the worker's number.
        instance: String,
        /// How often.
        fencings: usize,
        /// Within how many seconds.
        seconds: u64,
        /// What the log said last.
        why: String,
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
    /// The lowest watermark of the owned tasks as of the last commit, milliseconds since the epoch; 0 where there is none.
    pub watermark_ms: AtomicI64,
    /// Of the owned tasks, the fullest memory that must not overflow, per cent as of the last commit.
    pub budget_percent: AtomicU64,
    /// Times that the worker gave everything up and joined anew: it was fenced, or did not know how a commit ended.
    pub rejoins: AtomicU64,
    /// Offsets of the group that somebody else had committed (or removed), found when a partition was taken over.
    pub foreign_commits: AtomicU64,
    /// Partitions owned.
    pub owned: AtomicU64,
    /// Snapshots written.
    pub snapshots: AtomicU64,
    /// Snapshots that failed; the next one holds their changes.
    pub snapshots_failed: AtomicU64,
    /// Bytes of the snapshots written.
    pub snapshot_bytes: AtomicU64,
    /// When the stalest owned task's newest snapshot was written (at first: when the task was loaded), milliseconds since the epoch; 0
    /// where nothing is owned.
    pub snapshot_oldest_at_ms: AtomicI64,
    /// How long processing waited for each slice of a snapshot.
    pub snapshot_pauses: Pauses,
    /// Tasks restored from a snapshot.
    pub restored: AtomicU64,
    /// Tasks taken over from a warm standby.
    pub taken_warm: AtomicU64,
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
    /// Nothing is tried before this monotonic time.
    rest_until: Option<Duration>,
    /// Epochs aborted since the last one that committed.
    aborts_in_a_row: u32,
    /// Where snapshots are written.
    background: Option<Background>,
    /// Whether a snapshot has more to write at once.
    is_snapshotting: bool,
    fencings: Fencings,
    stats: Arc<WorkerStats>,
}

/// Longest wait for input in one step.
const MAX_POLL: Duration = Duration::from_millis(50);
/// How long an unreachable log is left alone.
const REST: Duration = Duration::from_millis(500);
/// Aborts in a row after which the worker rests between attempts.
const ABORTS_BEFORE_REST: u32 = 3;

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
        let background = config.snapshots.as_ref().map(Background::start);
        let mut worker = Self {
            transport,
            factory,
            clock,
            config,
            background,
            is_snapshotting: false,
            member: None,
            tasks: BTreeMap::new(),
            batch: Batch::new(),
            changes: Vec::new(),
            out: Outputs::new(),
            epoch_started: None,
            idle_since: None,
            rest_until: None,
            aborts_in_a_row: 0,
            fencings: Fencings::default(),
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
            if self.rest_until.is_some() {
                std::thread::sleep(MAX_POLL);
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
        self.close_snapshots();
        if let Some(member) = self.member.take() {
            member.close().map_err(|source| self.transport_error(source))?;
        }
        Ok(())
    }

    /// One step: poll, serve ownership changes or process what came, end the epoch when it is due. While a log that could not be
    /// reached is left alone, a step does nothing.
    ///
    /// # Errors
    /// Only those that retrying does not mend; everything else (aborts, fencing, unavailability) is handled here.
    pub fn step(&mut self) -> Result<Step, WorkerError> {
        if self.rest_until.is_some_and(|until| self.clock.monotonic() < until) {
            return Ok(Step::Idle);
        }
        self.rest_until = None;
        let stepped = self.try_step();
        self.is_snapshotting = self.take_snapshots();
        match stepped {
            Err(WorkerError::Transport {
                source: source @ (TransportError::Unavailable(_) | TransportError::Fenced(_)),
                ..
            }) => {
                // What was open is settled by the log; state comes back by replay once it answers.
                self.note_outage(&source.to_string(), "joining anew");
                self.abandon();
                if let TransportError::Fenced(why) = source {
                    self.note_fencing(&why)?;
                }
                self.rest_until = Some(self.clock.monotonic() + REST);
                Ok(Step::Idle)
            }
            result => result,
        }
    }

    fn try_step(&mut self) -> Result<Step, WorkerError> {
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
                self.note_fencing(&why)?;
                return Ok(Step::Worked);
            }
            Err(TransportError::Unavailable(why)) => {
                self.note_outage(&why, "the log cannot be reached; retrying");
                self.rest_until = Some(self.clock.monotonic() + REST);
                return Ok(Step::Idle);
            }
            Err(source) => return Err(self.transport_error(source)),
        }
        if !self.changes.is_empty() || !self.batch.is_empty() {
            self.fencings.outage_is_over();
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

    fn poll_wait(&self) -> Duration {
        match self.epoch_started {
            // Anything that is already there goes into the open epoch; otherwise it ends.
            Some(_) => Duration::ZERO,
            None if self.is_snapshotting => Duration::ZERO,
            None => MAX_POLL,
        }
    }

    fn transport_error(&self, source: TransportError) -> WorkerError {
        WorkerError::Transport { stage: self.factory.name(), source }
    }
}
