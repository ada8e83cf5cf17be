//! The world: a log, a warehouse, processes, a client, and one thread that decides who goes on.
//!
//! Everything is in [`World`], which the processes' lines to log and warehouse hold too: at every call ([`World::point`]) the
//! scheduler may let others go on first, or end the process. So a process can stand still, or die, between any two calls, however
//! deep it is in its own code; what runs meanwhile runs on the same stack.

mod act;
mod drain;
mod draw;
mod point;
mod slots;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use millstream_runtime::snapshot::MemorySnapshots;
use millstream_runtime::{Clock as _, Standbys};
use millstream_transports::memory::{MemoryLog, MemorySync};
use millstream_transports::{Clock, LocalOptions, MemberConfig, OffsetCommit, Result, Transport, TransportError};
use parking_lot::Mutex;

use crate::client::Client;
use crate::clock::HeldClock;
use crate::invariants::Violation;
use crate::plan::{Plan, START_MS};
use crate::random::Random;
use crate::sink::Warehouse;
use crate::tally::{Strike, Tally};
use crate::topology;
use crate::traffic::Traffic;
use crate::watch::Watch;

pub use slots::{Role, Slot};

/// One life of the log: from a start to a crash.
#[derive(Clone)]
pub struct Life {
    /// The log.
    pub log: MemoryLog,
    /// Rises with every crash.
    pub number: u64,
}

/// Everything there is.
pub struct World {
    /// What the seed decided.
    pub plan: Plan,
    /// Time.
    pub clock: Arc<HeldClock>,
    random: Mutex<Random>,
    life: Mutex<Life>,
    /// The log, and the warehouse, do not answer before this time of the machine's clock.
    log_out_until_ms: AtomicI64,
    warehouse_out_until_ms: AtomicI64,
    /// The shop's clock may not leap beyond: an insert is under way, which must not outlive the warehouse's memory.
    leap_limit_ms: AtomicI64,
    slots: Vec<Mutex<Slot>>,
    /// By process: the standbys of ingest and of profile, as long as it lives.
    standbys: Mutex<BTreeMap<usize, [Arc<Standbys>; 2]>>,
    /// Slots whose calls are under way, the innermost last.
    stack: Mutex<Vec<usize>>,
    faults_on: AtomicBool,
    /// Whether [`crate::mutation::Mutation::ReplayThatEmits`] has struck.
    forgot: AtomicBool,
    /// Traffic and client.
    pub client: Mutex<(Traffic, Client)>,
    /// The warehouse.
    pub warehouse: Arc<Mutex<Warehouse>>,
    /// Snapshots.
    pub shelf: MemorySnapshots,
    /// What was committed.
    pub watch: Mutex<Watch>,
    /// Highest committed offset by group, topic and partition.
    offsets: Mutex<BTreeMap<(String, String, u32), u64>>,
    tally: Mutex<Tally>,
    violation: Mutex<Option<Violation>>,
}

impl World {
    /// A world before its first step.
    ///
    /// # Errors
    /// Where the log refuses its topics.
    pub fn new(plan: Plan) -> Result<Arc<Self>> {
        let clock = Arc::new(HeldClock::new(START_MS));
        let held = Arc::clone(&clock);
        let options = LocalOptions {
            session_timeout_ms: Plan::SESSION_TIMEOUT_MS,
            transaction_timeout_ms: Plan::TRANSACTION_TIMEOUT_MS,
            max_poll_interval_ms: Some(Plan::POLL_INTERVAL_MS),
            poll_bytes: plan.poll_bytes,
            clock: Clock::new(move || held.monotonic_ms()),
            ..LocalOptions::default()
        };
        let sync = if plan.sync_later { MemorySync::OnRequest } else { MemorySync::Immediate };
        let log = MemoryLog::with_options(options, sync);
        topology::found(&log, &plan)?;
        let slots = Slot::all(&plan).into_iter().map(Mutex::new).collect();
        Ok(Arc::new(Self {
            clock,
            random: Mutex::new(Random::of(plan.seed, 2)),
            life: Mutex::new(Life { log, number: 0 }),
            log_out_until_ms: AtomicI64::new(0),
            warehouse_out_until_ms: AtomicI64::new(0),
            leap_limit_ms: AtomicI64::new(i64::MAX),
            slots,
            standbys: Mutex::default(),
            stack: Mutex::default(),
            faults_on: AtomicBool::new(true),
            forgot: AtomicBool::new(false),
            client: Mutex::new((Traffic::new(&plan), Client::default())),
            warehouse: Arc::default(),
            shelf: MemorySnapshots::new(),
            watch: Mutex::new(Watch::new(&plan)),
            offsets: Mutex::default(),
            tally: Mutex::default(),
            violation: Mutex::default(),
            plan,
        }))
    }

    /// Draws from the scheduler's chance.
    pub(crate) fn draw<T>(&self, with: impl FnOnce(&mut Random) -> T) -> T {
        with(&mut self.random.lock())
    }

    /// The log, where it answers.
    ///
    /// # Errors
    /// Where it does not.
    pub fn reach(&self) -> Result<Life> {
        if self.clock.monotonic_ms() < self.log_out_until_ms.load(Ordering::Relaxed) {
            return Err(TransportError::Unavailable("no answer".to_owned()));
        }
        Ok(self.life())
    }

    /// The log, also where it does not answer.
    pub fn life(&self) -> Life {
        self.life.lock().clone()
    }

    /// Which life of the log this is.
    pub fn life_number(&self) -> u64 {
        self.life.lock().number
    }

    /// Whether the warehouse does not answer.
    pub fn warehouse_is_down(&self) -> bool {
        self.clock.monotonic_ms() < self.warehouse_out_until_ms.load(Ordering::Relaxed)
    }

    /// Lets the shop's clock leap, as far as it may.
    pub(crate) fn leap_to(&self, wall_ms: i64) {
        self.clock.leap_to(wall_ms.min(self.leap_limit_ms.load(Ordering::Relaxed)));
    }

    /// Does something during which the shop's clock may go on by at most `ms`.
    pub(crate) fn within<T>(&self, ms: i64, work: impl FnOnce() -> T) -> T {
        struct Restore<'a>(&'a AtomicI64, i64);
        impl Drop for Restore<'_> {
            fn drop(&mut self) {
                self.0.store(self.1, Ordering::Relaxed);
            }
        }
        let limit_ms = self.clock.now_ms() + ms;
        let before = self.leap_limit_ms.fetch_min(limit_ms, Ordering::Relaxed);
        let _restore = Restore(&self.leap_limit_ms, before);
        work()
    }

    /// Counts.
    pub fn strike(&self, strike: Strike) {
        self.tally.lock().strike(strike);
    }

    /// Counts.
    pub(crate) fn strikes(&self, count: impl FnOnce(&mut Tally)) {
        count(&mut self.tally.lock());
    }

    /// What was counted.
    pub fn tally(&self) -> Tally {
        self.tally.lock().clone()
    }

    /// Notes a violation; the first one counts.
    pub fn violate(&self, invariant: &'static str, detail: impl Into<String>) {
        let step = self.tally.lock().steps;
        self.violation.lock().get_or_insert_with(|| Violation { invariant, step, detail: detail.into() });
    }

    /// The first violation, if there is one.
    pub fn violation(&self) -> Option<Violation> {
        self.violation.lock().clone()
    }

    /// Checks that the offsets of a commit did not take the group back.
    pub(crate) fn note_offsets(&self, life: &Life, config: &MemberConfig, offsets: &[OffsetCommit]) {
        for offset in offsets {
            let Some(topic) = config.inputs.get(usize::from(offset.partition.topic)) else { continue };
            let partition = offset.partition.partition;
            let Ok(Some(now)) = life.log.committed(&config.group, topic, partition) else { continue };
            let key = (config.group.clone(), topic.clone(), partition);
            let mut known = self.offsets.lock();
            let before = known.entry(key).or_default();
            if now.offset < *before {
                let (group, was) = (&config.group, *before);
                self.violate(
                    "offsets never go back",
                    format!("group {group}, {topic}[{partition}]: {was} was committed, now {} is", now.offset),
                );
            }
            *before = now.offset;
        }
    }

    /// Somebody else has set an offset of the group back: that is not held against it.
    pub(crate) fn note_foreign(&self, config: &MemberConfig) {
        self.strike(Strike::ForeignOffsetCommit);
        self.offsets.lock().retain(|(group, _, _), _| *group != config.group);
    }

    /// Looks at what is newly committed.
    pub(crate) fn look(&self) {
        let life = self.life();
        if let Err(why) = self.watch.lock().look(&life.log) {
            self.violate("one revision, one record", why);
        }
        if let Some(doubled) = self.warehouse.lock().doubled() {
            self.violate("tables equal topics", doubled.clone());
        }
    }

    /// Ends everything, so that nothing holds the world any more.
    pub(crate) fn end(&self) {
        for slot in &self.slots {
            let left = slot.lock().take();
            drop(left);
        }
    }
}
