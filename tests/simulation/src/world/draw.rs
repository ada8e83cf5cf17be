//! What goes wrong next.

use std::sync::atomic::Ordering;

use millstream_transports::{Committed, Fault};

use super::World;
use crate::mutation::Mutation;
use crate::tally::Strike;

impl World {
    fn strikes_now(&self, permille: u32) -> bool {
        self.faults_on.load(Ordering::Relaxed) && self.draw(|random| random.permille(permille))
    }

    /// What goes wrong with a commit.
    pub fn draw_commit_fault(&self) -> Option<Fault> {
        const FAULTS: [Fault; 4] =
            [Fault::CommitUnknownApplied, Fault::CommitUnknownDropped, Fault::CommitAborted, Fault::CommitFenced];
        self.strikes_now(self.plan.chances.commit).then(|| self.draw(|random| *random.pick(&FAULTS)))
    }

    /// What a poll of a member of this group hears of.
    pub fn draw_poll_fault(&self, group: &str) -> Option<Fault> {
        if !self.strikes_now(self.plan.chances.poll) {
            return None;
        }
        let foreign = self.plan.foreign_commits && !group.starts_with("deliver");
        let faults = [Fault::Rebalance, Fault::MembershipLost, Fault::ForeignOffsetCommit];
        Some(faults[self.draw(|random| random.index(if foreign { 3 } else { 2 }))])
    }

    /// What goes wrong with an acknowledged append.
    pub fn draw_append_fault(&self) -> Option<Fault> {
        const FAULTS: [Fault; 2] = [Fault::AppendFailed, Fault::AppendStoredButFailed];
        let fault = self.strikes_now(self.plan.chances.append).then(|| self.draw(|random| *random.pick(&FAULTS)))?;
        let strike = if fault == Fault::AppendFailed { Strike::AppendFailed } else { Strike::AppendStoredButFailed };
        self.strike(strike);
        Some(fault)
    }

    /// What goes wrong with an insert.
    pub fn draw_insert_fault(&self) -> Option<Strike> {
        const FAULTS: [Strike; 2] = [Strike::InsertFailed, Strike::InsertStoredButFailed];
        let fault = self.strikes_now(self.plan.chances.insert).then(|| self.draw(|random| *random.pick(&FAULTS)))?;
        self.strike(fault);
        Some(fault)
    }

    /// Whether this goes wrong with a call to the snapshot store.
    pub fn draw_store_fault(&self, strike: Strike) -> bool {
        let strikes = self.strikes_now(self.plan.chances.store);
        if strikes {
            self.strike(strike);
        }
        strikes
    }

    /// What was committed; under [`Mutation::ReplayThatEmits`], once, half of it, with the stamp that the stage itself would have
    /// left there.
    pub(crate) fn misremembered(&self, committed: Option<Committed>) -> Option<Committed> {
        let found = committed?;
        let offset = found.offset.to_string();
        let words: Vec<&str> = found.metadata.split(' ').collect();
        let strikes = self.plan.mutation == Some(Mutation::ReplayThatEmits)
            && found.offset > 40
            && words.contains(&offset.as_str())
            && !self.forgot.swap(true, Ordering::Relaxed);
        if !strikes {
            return Some(found);
        }
        let half = (found.offset / 2).to_string();
        let stamp: Vec<&str> =
            words.into_iter().map(|word| if word == offset { half.as_str() } else { word }).collect();
        Some(Committed { offset: found.offset / 2, metadata: stamp.join(" ") })
    }
}
