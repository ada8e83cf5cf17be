//! The run of one seed: steps with faults, then none, until all has come to rest.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use millstream_runtime::Clock as _;
use millstream_schemas::Collected;
use millstream_transports::{Append, Transport};

use super::World;
use crate::invariants;
use crate::plan::Plan;
use crate::topology::tick_record;

/// How often what was committed is looked at, in steps.
const LOOK_EVERY: u64 = 8;
/// Rounds in which all must have come to rest.
const ROUNDS_MAX: usize = 20_000;
/// Rounds without work after which all has.
const QUIET_ROUNDS: usize = 6;
/// What a round takes, milliseconds.
const ROUND_MS: i64 = 40;
/// How far the shop's clock leaps in the end: beyond every gap and horizon, and into the days of churn and value.
const LEAP_MS: i64 = 40 * 86_400_000;
/// Ticks in the end.
const LAST_TICKS: i64 = 3;

impl World {
    /// Plays the seed and checks everything.
    pub fn run(self: &Arc<Self>) {
        (0..self.plan.processes).for_each(|process| self.start(process));
        let mut looked = 0;
        loop {
            let steps = self.tally.lock().steps;
            if steps >= self.plan.steps || self.violation.lock().is_some() {
                break;
            }
            self.act();
            if steps - looked >= LOOK_EVERY {
                looked = steps;
                self.look();
            }
        }
        self.look();
        if self.violation.lock().is_none() {
            self.drain();
            self.look();
        }
        if self.violation.lock().is_none()
            && let Err(violation) = invariants::check(self)
        {
            self.violate(violation.invariant, violation.detail);
        }
        self.strikes(|tally| tally.seeds = 1);
        self.end();
    }

    /// No more faults: every process starts anew, the client gets its answers, time passes, and all comes to rest.
    fn drain(self: &Arc<Self>) {
        self.faults_on.store(false, Ordering::Relaxed);
        let all = 0..self.plan.processes * 2;
        all.for_each(|process| self.kill(process));
        self.log_out_until_ms.store(0, Ordering::Relaxed);
        self.warehouse_out_until_ms.store(0, Ordering::Relaxed);
        self.clock.advance(Plan::POLL_INTERVAL_MS + Plan::TRANSACTION_TIMEOUT_MS);
        for _ in 0..3 {
            self.listen();
            self.hand_in(&mut self.client.lock().1);
            self.life().log.sync();
        }
        self.listen();
        if !self.client.lock().1.is_content() {
            self.violate("nothing stops", "without faults the log does not acknowledge what is sent");
            return;
        }
        self.start(0);
        if self.plan.processes > 1 {
            self.start(1);
        }
        // What is open is read first, so that time does not leap over what the log holds already.
        self.come_to_rest();
        self.last_ticks();
        self.come_to_rest();
    }

    fn last_ticks(&self) {
        let life = self.life();
        for _ in 0..LAST_TICKS {
            self.clock.leap_to(self.clock.now_ms() + LEAP_MS / LAST_TICKS);
            let now_ms = self.clock.now_ms();
            let value = tick_record(now_ms);
            for partition in 0..self.plan.partitions {
                let append = Append { topic: 0, partition, timestamp_ms: now_ms, key: &[], value: &value };
                let appended = life
                    .log
                    .appender(vec![Collected::TOPIC.to_owned()])
                    .and_then(|appender| appender.append(&[append], Box::new(|_| ())));
                if let Err(error) = appended {
                    self.violate("nothing stops", format!("the last tick: {error}"));
                }
            }
            life.log.sync();
        }
    }

    fn come_to_rest(self: &Arc<Self>) {
        let mut quiet = 0;
        let mut busy = Vec::new();
        for _ in 0..ROUNDS_MAX {
            busy.clear();
            for slot in 0..self.slots.len() {
                if self.step_slot(slot) {
                    let slot = self.slots[slot].lock();
                    busy.push(format!("{:?} of process {}", slot.role, slot.process));
                }
            }
            self.clock.advance(ROUND_MS);
            quiet = if busy.is_empty() { quiet + 1 } else { 0 };
            if quiet >= QUIET_ROUNDS || self.violation.lock().is_some() {
                return;
            }
        }
        let busy = busy.join(", ");
        self.violate(
            "all comes to rest",
            format!("after {ROUNDS_MAX} rounds without faults there is still work for {busy}"),
        );
    }
}
