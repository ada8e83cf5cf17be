//! Faults that a simulation can ask of a local log: the ones a real broker shows, on demand or by a seeded plan.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// At a commit: it is applied, and reported as unknown.
    CommitUnknownApplied,
    /// At a commit: it is not applied, and reported as unknown. The transaction stays open until settled, taken over or timed out.
    CommitUnknownDropped,
    /// At a commit: aborted.
    CommitAborted,
    /// At a commit: another holder has fenced this one.
    CommitFenced,
    /// At a poll: all partitions are taken in order and given back.
    Rebalance,
    /// At a poll: the membership was lost; partitions are revoked as lost, and the member joins anew.
    MembershipLost,
    /// At a poll: somebody outside the group's protocol sets one owned partition's committed offset back to the earliest.
    ForeignOffsetCommit,
    /// At an acknowledged append: nothing is stored, failure is reported.
    AppendFailed,
    /// At an acknowledged append: all is stored, failure is reported (the client will send it again).
    AppendStoredButFailed,
}

/// Where a fault can strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Commit,
    Poll,
    Append,
}

impl Fault {
    fn moment(self) -> Moment {
        match self {
            Self::CommitUnknownApplied | Self::CommitUnknownDropped | Self::CommitAborted | Self::CommitFenced => {
                Moment::Commit
            }
            Self::Rebalance | Self::MembershipLost | Self::ForeignOffsetCommit => Moment::Poll,
            Self::AppendFailed | Self::AppendStoredButFailed => Moment::Append,
        }
    }
}

#[derive(Debug, Default)]
struct Plan {
    scripted: VecDeque<Fault>,
    rates: Vec<(Fault, u32)>,
    random: u64,
}

/// The faults of one log. Without any it costs one relaxed load an operation.
#[derive(Debug, Default)]
pub struct Faults {
    active: AtomicBool,
    plan: Mutex<Plan>,
}

impl Faults {
    /// Strikes once, at the next operation where this fault is possible.
    pub fn inject(&self, fault: Fault) {
        self.plan.lock().scripted.push_back(fault);
        self.active.store(true, Ordering::Release);
    }

    /// Strikes at random, by a plan that `seed` determines: each fault with its probability in a million operations.
    pub fn plan(&self, seed: u64, per_million: &[(Fault, u32)]) {
        let mut plan = self.plan.lock();
        plan.rates = per_million.to_vec();
        plan.random = seed;
        self.active.store(true, Ordering::Release);
    }

    /// No more faults.
    pub fn clear(&self) {
        *self.plan.lock() = Plan::default();
        self.active.store(false, Ordering::Release);
    }

    pub(crate) fn draw(&self, moment: Moment) -> Option<Fault> {
        if !self.active.load(Ordering::Acquire) {
            return None;
        }
        let mut plan = self.plan.lock();
        if let Some(at) = plan.scripted.iter().position(|fault| fault.moment() == moment) {
            return plan.scripted.remove(at);
        }
        let rates = std::mem::take(&mut plan.rates);
        let mut struck = None;
        for &(fault, per_million) in rates.iter().filter(|(fault, _)| fault.moment() == moment) {
            if next_random(&mut plan.random) % 1_000_000 < u64::from(per_million) {
                struck = Some(fault);
                break;
            }
        }
        plan.rates = rates;
        struck
    }
}

/// SplitMix64: small, seeded, and the same everywhere.
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
