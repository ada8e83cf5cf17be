//! One step of the scheduler.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use millstream_runtime::Clock as _;
use millstream_runtime::snapshot::TaskName;
use millstream_schemas::{Collected, Event};
use millstream_transports::Transport;

use super::World;
use crate::client::BATCH_MAX;
use crate::mutation::Mutation;
use crate::plan::{Hoard, Plan};
use crate::shelf;
use crate::tally::Strike;

/// What a step can be, with its weight.
const ACTIONS: [(Action, u32); 14] = [
    (Action::Step, 700),
    (Action::Send, 130),
    (Action::Sync, 90),
    (Action::Start, 40),
    (Action::Wait, 12),
    (Action::Freeze, 3),
    (Action::Kill, 5),
    (Action::Leave, 3),
    (Action::Twin, 2),
    (Action::RestartLog, 2),
    (Action::LosePower, 2),
    (Action::CutLog, 2),
    (Action::StopWarehouse, 3),
    (Action::Tidy, 30),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    /// Somebody goes on.
    Step,
    /// The client sends.
    Send,
    /// The log syncs what waits.
    Sync,
    /// A process that does not run is started.
    Start,
    /// A moment passes.
    Wait,
    /// Nobody goes on for longer than sessions live.
    Freeze,
    /// A process dies.
    Kill,
    /// A process leaves in order.
    Leave,
    /// A second process of a name that runs is started.
    Twin,
    /// The log goes down and comes back with what was synced.
    RestartLog,
    /// Everything goes down at once.
    LosePower,
    /// The log does not answer for a while.
    CutLog,
    /// The warehouse does not answer for a while.
    StopWarehouse,
    /// The log loses what snapshots spare, or a snapshot is harmed.
    Tidy,
}

impl World {
    /// One step.
    pub(super) fn act(self: &Arc<Self>) {
        let weights = ACTIONS.map(|(_, weight)| weight);
        let (action, _) = ACTIONS[self.draw(|random| random.weighted(&weights))];
        self.strikes(|tally| tally.steps += 1);
        self.clock.advance(self.draw(|random| random.between(0, 12)));
        let slots = self.slots.len();
        let processes = self.plan.processes;
        match action {
            Action::Step => {
                let from = self.draw(|random| random.index(slots));
                let running = (from..slots).chain(0..from).find(|slot| self.can_step(*slot));
                if let Some(slot) = running {
                    self.step_slot(slot);
                }
            }
            Action::Send => self.send(),
            Action::Sync => self.life().log.sync(),
            Action::Start => {
                let process = self.draw(|random| random.index(processes));
                if !self.is_running(process) {
                    self.start(process);
                }
            }
            Action::Wait => self.clock.advance(self.draw(|random| random.between(50, 700))),
            Action::Freeze => {
                self.strike(Strike::AllFrozen);
                self.clock.advance(Plan::POLL_INTERVAL_MS + 1);
            }
            Action::Kill => self.kill_one(self.draw(|random| random.index(processes * 2))),
            Action::Leave => {
                let process = self.draw(|random| random.index(processes * 2));
                if self.is_running(process) {
                    self.strike(Strike::ProcessLeft);
                    self.close(process);
                }
            }
            Action::Twin => {
                let process = self.draw(|random| random.index(processes));
                if self.is_running(process) {
                    self.strike(Strike::SplitBrain);
                    self.start(process + processes);
                }
            }
            Action::RestartLog => self.restart_log(Strike::LogRestarted),
            Action::LosePower => {
                self.restart_log(Strike::PowerLost);
                (0..processes * 2).for_each(|process| self.kill(process));
            }
            Action::CutLog => {
                self.strike(Strike::LogUnreachable);
                let until_ms = self.clock.monotonic_ms() + self.draw(|random| random.between(50, 2_000));
                self.log_out_until_ms.store(until_ms, Ordering::Relaxed);
            }
            Action::StopWarehouse => {
                self.strike(Strike::WarehouseDown);
                let until_ms = self.clock.monotonic_ms() + self.draw(|random| random.between(50, 1_500));
                self.warehouse_out_until_ms.store(until_ms, Ordering::Relaxed);
            }
            Action::Tidy => self.tidy(),
        }
        self.listen();
    }

    /// One task's snapshots, or the log below them, get what the plan has for them.
    fn tidy(&self) {
        let (group, input) =
            *self.draw(|random| random.pick(&[("ingest", Collected::TOPIC), ("profile", Event::TOPIC)]));
        let partition = self.draw(|random| random.below(u64::from(self.plan.partitions))) as u32;
        let task = TaskName { group: group.to_owned(), partition };
        match self.plan.snapshots.map(|snapshots| snapshots.hoard) {
            None | Some(Hoard::Kept) => {}
            // A worker that is made to forget has nothing to fall back to: one bug at a time.
            Some(_) if self.plan.mutation == Some(Mutation::ReplayThatEmits) => {}
            Some(Hoard::Damaged) => {
                if self.draw(|random| random.permille(700) && shelf::harm(&self.shelf, &task, random)) {
                    self.strike(Strike::SnapshotHarmed);
                }
            }
            Some(Hoard::Trimmed) => {
                let Some(needless_below) = shelf::needless_below(&self.shelf, &task) else { return };
                self.look();
                let life = self.life();
                let before = life.log.earliest(input, partition).unwrap_or_default();
                // The warehouse reads `events` too.
                let delivered = life.log.committed("deliver-warehouse", Event::TOPIC, partition).ok().flatten();
                let read = if input == Event::TOPIC { delivered.map_or(0, |read| read.offset) } else { u64::MAX };
                let dropped = life.log.drop_below(input, partition, needless_below.min(read));
                if dropped.is_ok() && life.log.earliest(input, partition).is_ok_and(|now| now > before) {
                    self.strike(Strike::LogTrimmed);
                }
            }
        }
    }

    /// The log loses what was not synced.
    fn restart_log(&self, strike: Strike) {
        self.strike(strike);
        let mut life = self.life.lock();
        life.log = life.log.crash();
        life.number += 1;
    }

    /// The client makes up to a few events and sends them with what it has to send again.
    pub(super) fn send(self: &Arc<Self>) {
        let mut guard = self.client.lock();
        let (traffic, client) = &mut *guard;
        let count = self.draw(|random| random.between(1, BATCH_MAX as i64));
        for _ in 0..count {
            self.leap_to(self.clock.now_ms() + self.draw(pace_ms));
            let (sent, at_ms) = self.draw(|random| traffic.next(random, self.clock.now_ms()));
            self.leap_to(at_ms);
            client.add(sent);
        }
        if !client.events.is_empty() && self.draw(|random| random.permille(80)) {
            self.strike(Strike::SentAgain);
            client.repeat(self.draw(|random| random.index(client.events.len())));
        }
        self.hand_in(client);
    }

    /// Sends what the client has.
    pub(super) fn hand_in(&self, client: &mut crate::client::Client) {
        let Ok(life) = self.reach() else { return };
        if let Some(fault) = self.draw_append_fault() {
            life.log.faults().inject(fault);
        }
        let early = self.plan.mutation == Some(Mutation::EarlyAcknowledgement);
        client.send(&life.log, life.number, self.plan.partitions, &self.clock, early);
        life.log.faults().clear();
    }

    /// The client hears answers, or stops waiting for them.
    pub(super) fn listen(&self) {
        let down = self.client.lock().1.listen(self.life_number(), self.clock.monotonic_ms());
        if down > 0 {
            self.strikes(|tally| *tally.strikes.entry(Strike::AppendsLost).or_default() += down);
        }
    }
}

/// How long until the next event: mostly seconds, now and then longer than a session's gap or the horizon.
fn pace_ms(random: &mut crate::random::Random) -> i64 {
    match random.weighted(&[70, 22, 7, 1]) {
        0 => random.between(100, 20_000),
        1 => random.between(20_000, 240_000),
        2 => random.between(240_000, 1_800_000),
        _ => random.between(1_800_000, 14_400_000),
    }
}
