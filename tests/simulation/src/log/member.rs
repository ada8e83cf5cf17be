//! A member of a group at the end of a line.

use std::sync::Arc;
use std::time::Duration;

use millstream_transports::{
    Append, Batch, Change, CommitOutcome, Committed, Fault, Member, MemberConfig, OffsetCommit, Packed, PackedRecord,
    Result, TopicPartition, Transport, TransportError,
};

use crate::mutation::Mutation;
use crate::tally::Strike;
use crate::world::{Life, World};

/// A record of the open transaction: topic, partition, timestamp, key, value.
type Kept = (u16, u32, i64, Vec<u8>, Vec<u8>);

pub(super) struct LineMember {
    world: Arc<World>,
    slot: usize,
    life: Life,
    inner: Box<dyn Member>,
    config: MemberConfig,
    /// What [`Mutation::StaleCommit`] would write.
    kept: Vec<Kept>,
}

impl LineMember {
    pub(super) fn new(
        world: Arc<World>,
        slot: usize,
        life: Life,
        inner: Box<dyn Member>,
        config: MemberConfig,
    ) -> Self {
        Self { world, slot, life, inner, config, kept: Vec::new() }
    }

    /// Refuses while the log does not answer.
    fn reach(&self) -> Result<()> {
        self.world.reach().map(drop)
    }

    /// Has one thing go wrong in the call that follows.
    fn inject(&self, fault: Option<Fault>) {
        if let Some(fault) = fault {
            self.life.log.faults().inject(fault);
        }
    }

    fn commit_with(
        &mut self,
        offsets: &[OffsetCommit],
        commit: fn(&mut dyn Member, &[OffsetCommit]) -> CommitOutcome,
    ) -> CommitOutcome {
        self.world.point(self.slot);
        if let Err(error) = self.reach() {
            return CommitOutcome::Unknown(error.to_string());
        }
        let fault = self.world.draw_commit_fault();
        self.inject(fault);
        let mut outcome = commit(&mut *self.inner, offsets);
        self.life.log.faults().clear();
        let kept = std::mem::take(&mut self.kept);
        match (&outcome, fault) {
            (CommitOutcome::Committed, _) => self.world.strikes(|tally| tally.commits += 1),
            (CommitOutcome::Aborted(_), Some(Fault::CommitAborted)) => self.world.strike(Strike::CommitAborted),
            (CommitOutcome::Unknown(_), Some(Fault::CommitUnknownApplied)) => {
                self.world.strike(Strike::CommitUnknownApplied);
            }
            (CommitOutcome::Unknown(_), Some(Fault::CommitUnknownDropped)) => {
                self.world.strike(Strike::CommitUnknownDropped);
            }
            (CommitOutcome::Fenced(_), _) => {
                self.world.strike(Strike::CommitFenced);
                if fault.is_none() && self.world.plan.mutation == Some(Mutation::StaleCommit) {
                    outcome = self.commit_stale(kept);
                }
            }
            _ => {}
        }
        self.world.note_offsets(&self.life, &self.config, offsets);
        self.world.point(self.slot);
        outcome
    }

    /// What a log would allow that does not check generations.
    fn commit_stale(&self, kept: Vec<Kept>) -> CommitOutcome {
        let id = format!("stale-{}", self.slot);
        let Ok(mut transaction) = self.life.log.transactions(&id, self.config.outputs.clone()) else {
            return CommitOutcome::Fenced("no transaction".to_owned());
        };
        for (topic, partition, timestamp_ms, key, value) in &kept {
            let sent = transaction.send(Append {
                topic: *topic,
                partition: *partition,
                timestamp_ms: *timestamp_ms,
                key,
                value,
            });
            if sent.is_err() {
                return CommitOutcome::Fenced("not sent".to_owned());
            }
        }
        transaction.commit()
    }

    fn keep(&mut self, append: Append<'_>) {
        if self.world.plan.mutation == Some(Mutation::StaleCommit) {
            let Append { topic, partition, timestamp_ms, key, value } = append;
            self.kept.push((topic, partition, timestamp_ms, key.to_vec(), value.to_vec()));
        }
    }
}

impl Member for LineMember {
    fn poll(&mut self, _max_wait: Duration, batch: &mut Batch, changes: &mut Vec<Change>) -> Result<()> {
        batch.clear();
        self.world.point(self.slot);
        self.reach()?;
        if self.world.life_number() != self.life.number {
            return Err(TransportError::Fenced("the log came back and knows no such member".to_owned()));
        }
        let fault = self.world.draw_poll_fault(&self.config.group);
        self.inject(fault);
        let before = changes.len();
        // Nobody waits here: time passes when the scheduler says so.
        let polled = self.inner.poll(Duration::ZERO, batch, changes);
        self.life.log.faults().clear();
        match fault {
            Some(Fault::ForeignOffsetCommit) => self.world.note_foreign(&self.config),
            Some(Fault::Rebalance) if changes.len() > before => self.world.strike(Strike::Rebalance),
            _ if changes[before..].iter().any(|change| matches!(change, Change::Revoked { lost: true, .. })) => {
                self.world.strike(Strike::MembershipLost);
            }
            _ => {}
        }
        self.world.point(self.slot);
        polled
    }

    fn at_end(&mut self, partition: TopicPartition) -> Result<bool> {
        self.reach()?;
        self.inner.at_end(partition)
    }

    fn seek(&mut self, partition: TopicPartition, offset: u64) -> Result<()> {
        self.reach()?;
        self.inner.seek(partition, offset)
    }

    fn backlog(&mut self, partition: TopicPartition) -> Result<Option<u64>> {
        self.reach()?;
        self.inner.backlog(partition)
    }

    fn earliest(&mut self, partition: TopicPartition) -> Result<u64> {
        self.reach()?;
        self.inner.earliest(partition)
    }

    fn pause(&mut self, partition: TopicPartition) -> Result<()> {
        self.inner.pause(partition)
    }

    fn resume(&mut self, partition: TopicPartition) -> Result<()> {
        self.inner.resume(partition)
    }

    fn committed(&mut self, partition: TopicPartition) -> Result<Option<Committed>> {
        self.world.point(self.slot);
        self.reach()?;
        let committed = self.inner.committed(partition)?;
        Ok(self.world.misremembered(committed))
    }

    fn send(&mut self, append: Append<'_>) -> Result<()> {
        self.reach()?;
        self.keep(append);
        self.inner.send(append)
    }

    fn send_packed(&mut self, topic: u16, partition: u32, records: Packed) -> Result<()> {
        self.reach()?;
        for PackedRecord { timestamp_ms, key, value } in records.iter() {
            self.keep(Append { topic, partition, timestamp_ms, key, value });
        }
        self.inner.send_packed(topic, partition, records)
    }

    fn commit(&mut self, offsets: &[OffsetCommit]) -> CommitOutcome {
        self.commit_with(offsets, |member, offsets| member.commit(offsets))
    }

    fn abort(&mut self) -> Result<()> {
        self.kept.clear();
        self.reach()?;
        self.inner.abort()
    }

    fn commit_offsets(&mut self, offsets: &[OffsetCommit]) -> CommitOutcome {
        self.commit_with(offsets, |member, offsets| member.commit_offsets(offsets))
    }

    fn settle(&mut self) -> Result<()> {
        self.world.point(self.slot);
        self.reach()?;
        self.inner.settle()
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.reach()?;
        self.inner.close()
    }
}
