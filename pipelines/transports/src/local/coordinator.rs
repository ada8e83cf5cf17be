//! Groups and transactional producers under one lock: who may commit what.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::group::Group;
use super::partition::Partition;
use crate::{Result, TransportError};

/// A transaction that has not ended.
#[derive(Debug)]
struct OpenTransaction {
    number: u64,
    deadline_ms: i64,
    partitions: Vec<Arc<Partition>>,
    /// Offsets whose fate is unknown until the transaction is settled.
    undecided: Vec<OffsetPlace>,
}

/// Whose offset it is, and of what: group, topic number, partition.
pub(crate) type OffsetPlace = (String, u32, u32);

/// Whether this offset is among them.
fn has(offsets: &[OffsetPlace], group: &str, topic_id: u32, partition: u32) -> bool {
    offsets.iter().any(|(g, t, p)| g == group && *t == topic_id && *p == partition)
}

/// A transactional id.
#[derive(Debug, Default)]
struct Producer {
    /// Rises with every new holder; an older one is fenced.
    epoch: u64,
    /// A commit is being made durable; nobody may take over until it is.
    committing: bool,
    /// The offsets in it: whoever goes on from there, although this holder's membership has ended, must not read the former ones.
    on_the_way: Vec<OffsetPlace>,
    open: Option<OpenTransaction>,
}

/// All groups and producers of one log.
#[derive(Debug, Default)]
pub(crate) struct Coordinator {
    pub groups: BTreeMap<String, Group>,
    producers: BTreeMap<String, Producer>,
    members: u64,
    transactions: u64,
    /// The next time at which a membership or a transaction may run out.
    next_deadline_ms: Option<i64>,
}

fn fenced(id: &str) -> TransportError {
    TransportError::Fenced(format!("transactional id {id} has a newer holder, or its transaction ran out of time"))
}

impl Coordinator {
    pub(crate) fn group(&mut self, name: &str) -> &mut Group {
        self.groups.entry(name.to_owned()).or_default()
    }

    pub(crate) fn next_member(&mut self) -> u64 {
        self.members += 1;
        self.members
    }

    /// Whether a takeover of this id must wait for a commit on its way.
    pub(crate) fn is_committing(&self, id: &str) -> bool {
        self.producers.get(id).is_some_and(|producer| producer.committing)
    }

    /// A new holder of the id: whatever the old one had open is aborted. Returns the holder's epoch.
    pub(crate) fn take_over(&mut self, id: &str) -> u64 {
        let producer = self.producers.entry(id.to_owned()).or_default();
        producer.epoch += 1;
        abort(producer);
        producer.epoch
    }

    fn holder(&mut self, id: &str, epoch: u64) -> Result<&mut Producer> {
        self.producers.get_mut(id).filter(|producer| producer.epoch == epoch).ok_or_else(|| fenced(id))
    }

    pub(crate) fn check(&mut self, id: &str, epoch: u64) -> Result<()> {
        self.holder(id, epoch).map(|_| ())
    }

    /// Notes that the holder writes to these partitions in its transaction, which is opened if none is. Returns its number.
    pub(crate) fn write(&mut self, id: &str, epoch: u64, partition: &Arc<Partition>, deadline_ms: i64) -> Result<u64> {
        let next = self.transactions + 1;
        let producer = self.holder(id, epoch)?;
        let open = producer.open.get_or_insert_with(|| OpenTransaction {
            number: next,
            deadline_ms,
            partitions: Vec::new(),
            undecided: Vec::new(),
        });
        open.partitions.push(Arc::clone(partition));
        let number = open.number;
        partition.open(number);
        self.transactions = next;
        self.look_again(deadline_ms);
        Ok(number)
    }

    /// Begins to commit: from here to [`Coordinator::end_commit`] nobody takes over, and nobody reads these offsets.
    pub(crate) fn begin_commit(&mut self, id: &str, epoch: u64, offsets: Vec<OffsetPlace>) -> Result<()> {
        let producer = self.holder(id, epoch)?;
        producer.committing = true;
        producer.on_the_way = offsets;
        Ok(())
    }

    /// The commit is over; its transaction has ended.
    pub(crate) fn end_commit(&mut self, id: &str) {
        if let Some(producer) = self.producers.get_mut(id) {
            producer.committing = false;
            producer.on_the_way.clear();
            producer.open = None;
        }
    }

    /// The commit is over without an effect; its transaction is still open. Returns the offsets that were in it.
    pub(crate) fn give_up_commit(&mut self, id: &str) -> Vec<OffsetPlace> {
        let Some(producer) = self.producers.get_mut(id) else { return Vec::new() };
        producer.committing = false;
        std::mem::take(&mut producer.on_the_way)
    }

    /// As [`Coordinator::give_up_commit`], and leaves the outcome for its offsets unknown.
    pub(crate) fn leave_undecided(&mut self, id: &str) {
        let offsets = self.give_up_commit(id);
        if let Some(open) = self.producers.get_mut(id).and_then(|producer| producer.open.as_mut()) {
            open.undecided = offsets;
        }
    }

    /// Ends the holder's transaction without effect.
    pub(crate) fn abort(&mut self, id: &str, epoch: u64) -> Result<()> {
        abort(self.holder(id, epoch)?);
        Ok(())
    }

    /// Whether a transaction of unknown outcome could still change this committed offset.
    pub(crate) fn is_undecided(&self, group: &str, topic_id: u32, partition: u32) -> bool {
        let mut open = self.producers.values().filter_map(|producer| producer.open.as_ref());
        open.any(|open| has(&open.undecided, group, topic_id, partition))
    }

    /// Whether a commit of this offset is being made durable.
    pub(crate) fn is_on_the_way(&self, group: &str, topic_id: u32, partition: u32) -> bool {
        self.producers.values().any(|producer| has(&producer.on_the_way, group, topic_id, partition))
    }

    pub(crate) fn abandon(&mut self, group: &str, member: u64, expires_at_ms: i64) {
        self.group(group).abandon(member, expires_at_ms);
        self.look_again(expires_at_ms);
    }

    fn look_again(&mut self, at_ms: i64) {
        self.next_deadline_ms = Some(self.next_deadline_ms.map_or(at_ms, |next| next.min(at_ms)));
    }

    /// Ends memberships and transactions whose time is up. Returns whether anything changed.
    pub(crate) fn expire(&mut self, now_ms: i64) -> bool {
        if self.next_deadline_ms.is_none_or(|deadline| deadline > now_ms) {
            return false;
        }
        let mut changed = false;
        let mut next: Option<i64> = None;
        let mut earliest = |at: i64| next = Some(next.map_or(at, |next| next.min(at)));
        for group in self.groups.values_mut() {
            let (expired, deadline) = group.expire(now_ms);
            changed |= expired;
            deadline.into_iter().for_each(&mut earliest);
        }
        for producer in self.producers.values_mut() {
            let Some(open) = &producer.open else { continue };
            if open.deadline_ms > now_ms || producer.committing {
                earliest(open.deadline_ms.max(now_ms + 1));
                continue;
            }
            producer.epoch += 1;
            abort(producer);
            changed = true;
        }
        self.next_deadline_ms = next;
        changed
    }
}

/// Every partition that the transaction wrote to loses the offset of its marker.
fn abort(producer: &mut Producer) {
    if let Some(open) = producer.open.take() {
        for partition in &open.partitions {
            partition.skip(1);
            partition.close(open.number);
        }
    }
}
