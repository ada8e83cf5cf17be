//! What can happen at a call: others go on first, for a moment or for too long, or the process dies.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::World;
use crate::plan::Plan;
use crate::tally::Strike;

/// The payload with which a process's stack is unwound: it has died.
pub(super) struct Killed;

/// Calls under way within each other at most.
const DEPTH_MAX: usize = 3;

impl World {
    /// A call of this slot begins or has ended.
    pub fn point(self: &Arc<Self>, slot: usize) {
        if !self.faults_on.load(Ordering::Relaxed) {
            return;
        }
        self.die_if_doomed(slot);
        let chances = &self.plan.chances;
        if self.draw(|random| random.permille(chances.kill)) {
            self.strike(Strike::KilledInCall);
            resume_unwind(Box::new(Killed));
        }
        if self.stack.lock().len() >= DEPTH_MAX || !self.draw(|random| random.permille(chances.interlude)) {
            return;
        }
        self.strike(Strike::Interlude);
        let frozen = self.draw(|random| random.permille(250));
        if frozen {
            self.strike(Strike::FrozenInCall);
            self.clock.advance(Plan::POLL_INTERVAL_MS + 1);
        }
        // Long enough, where it is frozen, for others to be given what it had and to go on with it.
        let steps = self.draw(|random| random.between(1, if frozen { 24 } else { 6 }));
        for _ in 0..steps {
            self.act();
        }
        self.die_if_doomed(slot);
    }

    fn die_if_doomed(&self, slot: usize) {
        if self.slots[slot].lock().doomed {
            resume_unwind(Box::new(Killed));
        }
    }
}
