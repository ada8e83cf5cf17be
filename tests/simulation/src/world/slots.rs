//! Processes and what runs in them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use millstream_deliver::{BatchLimits, DeliverConfig, DeliverError, Deliverer};
use millstream_runtime::{EpochLimits, SnapshotSettings, StandbyKeeper, Step, Worker, WorkerConfig, WorkerError};
use millstream_transports::TransportError;

use super::World;
use super::point::Killed;
use crate::log::Line;
use crate::mutation::mutated;
use crate::plan::Plan;
use crate::shelf::ShelfLine;
use crate::sink::WarehouseLine;
use crate::tally::Strike;
use crate::topology;

/// What a slot runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A worker of the ingest stage.
    Ingest,
    /// A worker of the profile stage.
    Profile,
    /// A deliverer.
    Deliver,
    /// The keeper of the ingest stage's standbys.
    IngestStandbys,
    /// The keeper of the profile stage's standbys.
    ProfileStandbys,
}

const ROLES: [Role; 5] = [Role::Ingest, Role::Profile, Role::Deliver, Role::IngestStandbys, Role::ProfileStandbys];

/// What is in a slot.
pub(super) enum Running {
    /// Nothing.
    Nothing,
    /// A worker.
    Worker(Box<Worker>),
    /// A deliverer.
    Deliverer(Box<Deliverer<WarehouseLine>>),
    /// A keeper of standbys.
    Keeper(Box<StandbyKeeper>),
    /// It is under way: see the stack.
    UnderWay,
}

/// A place for one worker of one process.
pub struct Slot {
    /// The process; one and its twin have the same name.
    pub(super) process: usize,
    pub(super) role: Role,
    pub(super) running: Running,
    /// The process has died while this was under way.
    pub(super) doomed: bool,
}

impl Slot {
    /// One of each role for every process, and for its twin.
    pub(super) fn all(plan: &Plan) -> Vec<Self> {
        let processes = 0..plan.processes * 2;
        let slot = |process, role| Self { process, role, running: Running::Nothing, doomed: false };
        processes.flat_map(|process| ROLES.map(|role| slot(process, role))).collect()
    }

    /// What runs, unless it is under way.
    pub(super) fn take(&mut self) -> Running {
        match self.running {
            Running::UnderWay => Running::Nothing,
            _ => std::mem::replace(&mut self.running, Running::Nothing),
        }
    }
}

/// Why something stopped.
enum Stopped {
    /// What may be tried again: the log could not be reached.
    Passing,
    /// What an operator would have to look at.
    Failed(String),
}

impl From<WorkerError> for Stopped {
    fn from(error: WorkerError) -> Self {
        match error {
            WorkerError::Transport { source: TransportError::Unavailable(_) | TransportError::Fenced(_), .. }
            // Its twin runs: whoever looks after the process starts it again.
            | WorkerError::SameInstance { .. } => Self::Passing,
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<DeliverError> for Stopped {
    fn from(error: DeliverError) -> Self {
        match error {
            DeliverError::Transport { source: TransportError::Unavailable(_) | TransportError::Fenced(_), .. }
            // Its twin runs: whoever looks after the process starts it again.
            | DeliverError::SameInstance { .. } => Self::Passing,
            other => Self::Failed(other.to_string()),
        }
    }
}

impl World {
    /// The slots of a process.
    pub(super) fn slots_of(&self, process: usize) -> std::ops::Range<usize> {
        process * ROLES.len()..(process + 1) * ROLES.len()
    }

    /// Whether something runs in one of them.
    pub(super) fn is_running(&self, process: usize) -> bool {
        self.slots_of(process).any(|slot| !matches!(self.slots[slot].lock().running, Running::Nothing))
    }

    /// Starts what is missing of a process.
    pub(super) fn start(self: &Arc<Self>, process: usize) {
        if !self.is_running(process) {
            self.standbys.lock().insert(process, Default::default());
        }
        for slot in self.slots_of(process) {
            let (role, free) = {
                let slot = self.slots[slot].lock();
                (slot.role, matches!(slot.running, Running::Nothing))
            };
            if free {
                self.run_in(slot, Running::Nothing, |_| self.make(slot, role).map(|made| (made, Step::Worked)));
            }
        }
    }

    fn make(self: &Arc<Self>, slot: usize, role: Role) -> Result<Running, Stopped> {
        let world = Arc::clone(self);
        let name = self.slots[slot].lock().process % self.plan.processes;
        let transport = Arc::new(Line { world, slot });
        let faults_on = self.faults_on.load(Ordering::Relaxed);
        let process = self.slots[slot].lock().process;
        let standbys = self.standbys.lock().get(&process).cloned().unwrap_or_default();
        let standbys = Arc::clone(&standbys[usize::from(matches!(role, Role::Profile | Role::ProfileStandbys))]);
        let has_standbys = self.plan.snapshots.is_some_and(|snapshots| snapshots.standbys);
        let factory = match role {
            Role::Ingest | Role::IngestStandbys => mutated(topology::ingest(&self.plan), self.plan.mutation),
            Role::Profile | Role::ProfileStandbys => mutated(topology::profile(&self.plan), self.plan.mutation),
            Role::Deliver => {
                let limits = BatchLimits {
                    max_rows: self.plan.batch_rows,
                    max_age_ms: 60,
                    max_inserts_per_table_and_second: 1_000,
                    // Side by side would be threads.
                    parallel_inserts: 1,
                    ..BatchLimits::clickhouse()
                };
                let config = DeliverConfig {
                    min_backoff_ms: 20,
                    max_backoff_ms: 200,
                    ..DeliverConfig::new("warehouse", format!("p{name}"), limits)
                };
                let warehouse = Arc::clone(&self.warehouse);
                let sink = WarehouseLine { world: Arc::clone(self), slot, warehouse };
                let deliverer = Deliverer::open(transport, sink, config, self.clock.clone())?;
                return Ok(Running::Deliverer(Box::new(deliverer)));
            }
        };
        if matches!(role, Role::IngestStandbys | Role::ProfileStandbys) {
            if !has_standbys {
                return Ok(Running::Nothing);
            }
            let store = Arc::new(ShelfLine { world: Arc::clone(self), slot: None });
            let keeper = StandbyKeeper::new(transport, factory, store, String::new(), standbys);
            return Ok(Running::Keeper(Box::new(keeper)));
        }
        let config = WorkerConfig {
            namespace: String::new(),
            instance_id: format!("p{name}"),
            limits: EpochLimits { max_ms: self.plan.epoch_ms, max_bytes: self.plan.epoch_bytes },
            // In the end time is told by hand.
            tick_after_ms: faults_on.then_some(self.plan.tick_after_ms),
            max_poisoned: 0,
            snapshots: self.plan.snapshots.map(|snapshots| SnapshotSettings {
                interval_ms: snapshots.interval_ms,
                keep_days: 1,
                in_background: false,
                at_close: snapshots.at_close,
                ..SnapshotSettings::new(Arc::new(ShelfLine { world: Arc::clone(self), slot: Some(slot) }))
            }),
            standbys: has_standbys.then_some(standbys),
        };
        Ok(Running::Worker(Box::new(Worker::new(transport, factory, self.clock.clone(), config)?)))
    }

    /// Whether there is something in a slot that can go on.
    pub(super) fn can_step(&self, slot: usize) -> bool {
        !matches!(self.slots[slot].lock().running, Running::Nothing | Running::UnderWay)
    }

    /// One step of what is in a slot. Returns whether it had something to do.
    pub(super) fn step_slot(self: &Arc<Self>, slot: usize) -> bool {
        let running = {
            let mut slot = self.slots[slot].lock();
            match slot.running {
                Running::Nothing | Running::UnderWay => return false,
                _ => std::mem::replace(&mut slot.running, Running::UnderWay),
            }
        };
        self.run_in(slot, running, |running| match running {
            Running::Worker(mut worker) => {
                let step = worker.step()?;
                Ok((Running::Worker(worker), step))
            }
            Running::Deliverer(mut deliverer) => {
                let step = deliverer.step(Duration::ZERO)?;
                let idle =
                    step.records == 0 && step.batches == 0 && (deliverer.partitions() == 0 || deliverer.caught_up()?);
                Ok((Running::Deliverer(deliverer), if idle { Step::Idle } else { Step::Worked }))
            }
            Running::Keeper(mut keeper) => {
                keeper.round();
                Ok((Running::Keeper(keeper), Step::Idle))
            }
            other => Ok((other, Step::Idle)),
        })
    }

    /// Has a process leave in order.
    pub(super) fn close(self: &Arc<Self>, process: usize) {
        for slot in self.slots_of(process) {
            let running = self.slots[slot].lock().take();
            self.run_in(slot, running, |running| {
                match running {
                    Running::Worker(worker) => worker.close()?,
                    Running::Deliverer(deliverer) => deliverer.close()?,
                    Running::Keeper(_) | Running::Nothing | Running::UnderWay => {}
                }
                Ok((Running::Nothing, Step::Worked))
            });
        }
    }

    /// Does work on behalf of a slot: a death within it ends the process.
    fn run_in(
        self: &Arc<Self>,
        slot: usize,
        running: Running,
        work: impl FnOnce(Running) -> Result<(Running, Step), Stopped>,
    ) -> bool {
        self.stack.lock().push(slot);
        self.slots[slot].lock().running = Running::UnderWay;
        let done = catch_unwind(AssertUnwindSafe(|| work(running)));
        self.stack.lock().pop();
        let (left, worked) = match done {
            Ok(Ok((running, step))) => (running, step == Step::Worked),
            Ok(Err(Stopped::Passing)) => (Running::Nothing, true),
            Ok(Err(Stopped::Failed(why))) => {
                let role = self.slots[slot].lock().role;
                self.violate("nothing stops", format!("{role:?}: {why}"));
                (Running::Nothing, true)
            }
            Err(panic) if panic.is::<Killed>() => {
                let process = self.slots[slot].lock().process;
                self.kill(process);
                (Running::Nothing, true)
            }
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
                self.violate("nothing panics", text);
                (Running::Nothing, true)
            }
        };
        self.count_snapshots(&left);
        let dead = {
            let mut slot = self.slots[slot].lock();
            let doomed = std::mem::replace(&mut slot.doomed, false);
            let left = if doomed { Running::Nothing } else { left };
            std::mem::replace(&mut slot.running, left)
        };
        drop(dead);
        worked
    }

    /// Takes over what a worker has counted since the last time.
    fn count_snapshots(&self, running: &Running) {
        let Running::Worker(worker) = running else { return };
        let stats = worker.stats();
        self.strikes(|tally| {
            tally.snapshots += stats.snapshots.swap(0, Ordering::Relaxed);
            tally.restored += stats.restored.swap(0, Ordering::Relaxed);
            tally.from_standby += stats.taken_warm.swap(0, Ordering::Relaxed);
        });
    }

    /// A process dies: what it had under way ends at its next call.
    pub(super) fn kill(&self, process: usize) {
        for slot in self.slots_of(process) {
            let dead = {
                let mut slot = self.slots[slot].lock();
                if matches!(slot.running, Running::UnderWay) {
                    slot.doomed = true;
                }
                slot.take()
            };
            drop(dead);
        }
    }

    /// Kills one that runs, if one does.
    pub(super) fn kill_one(&self, process: usize) {
        if self.is_running(process) {
            self.strike(Strike::ProcessKilled);
            self.kill(process);
        }
    }
}
