//! A member of a consumer group with a transactional producer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::assignment::Place;
use super::coordinator::Coordinator;
use super::faults::{Fault, Moment};
use super::log::Log;
use super::options::{LocalOptions, MAX_METADATA_BYTES};
use super::partition::{Partition, Topic};
use super::producer::Producer;
use super::store::{OffsetWrite, Store};
use crate::{
    Append, Batch, Change, CommitOutcome, Committed, Member, MemberConfig, OffsetCommit, Packed, Result,
    TopicPartition, TransportError,
};

struct Owned {
    at: TopicPartition,
    partition: Arc<Partition>,
    /// The next offset to deliver; nothing is delivered before a seek.
    next: Option<u64>,
    paused: bool,
}

pub(crate) struct LocalMember<S: Store> {
    producer: Producer<S>,
    group: String,
    instance_id: String,
    inputs: Vec<Arc<Topic>>,
    member: u64,
    /// The group's version at the last look; another one means that something may have changed.
    version: Option<u64>,
    owned: Vec<Owned>,
    /// Whose turn it is to be read first.
    turn: usize,
    /// An error met after records had been gathered: told at the next poll.
    deferred: Option<TransportError>,
    closed: bool,
}

impl<S: Store> LocalMember<S> {
    pub(crate) fn join(log: Log<S>, config: MemberConfig) -> Result<Self> {
        log.check_alive()?;
        let inputs = log.topics_named(&config.inputs)?;
        let outputs = log.topics_named(&config.outputs)?;
        // The id's takeover fences and settles the older instance before its partitions pass on.
        let id = format!("{}/{}", config.group, config.instance_id);
        let producer = Producer::new(log, id, outputs);
        let member = {
            let mut coordinator = producer.log.coordinator.lock();
            let member = coordinator.next_member();
            coordinator.group(&config.group).join(member, &config.instance_id, widths(&inputs));
            if let Some(until_ms) = alive_until_ms(&producer.log.options) {
                coordinator.abandon(&config.group, member, until_ms);
            }
            member
        };
        producer.log.wake.notify();
        Ok(Self {
            producer,
            group: config.group,
            instance_id: config.instance_id,
            inputs,
            member,
            version: None,
            owned: Vec::new(),
            turn: 0,
            deferred: None,
            closed: false,
        })
    }

    fn place_of(&self, at: TopicPartition) -> Option<Place> {
        let topic = self.inputs.get(usize::from(at.topic))?;
        topic.partitions.get(at.partition as usize).map(|partition| (topic.id, partition.index))
    }

    fn at(&self, place: Place) -> Option<TopicPartition> {
        let topic = self.inputs.iter().position(|topic| topic.id == place.0)?;
        Some(TopicPartition { topic: u16::try_from(topic).ok()?, partition: place.1 })
    }

    fn owned_mut(&mut self, at: TopicPartition) -> Result<&mut Owned> {
        let missing = || TransportError::Other(format!("input {} partition {} is not owned", at.topic, at.partition));
        self.owned.iter_mut().find(|owned| owned.at == at).ok_or_else(missing)
    }

    /// Hears of revocations and assignments.
    fn follow_group(&mut self, changes: &mut Vec<Change>) -> Result<()> {
        self.producer.check()?;
        self.producer.log.expire();
        match self.producer.log.faults.draw(Moment::Poll) {
            Some(Fault::Rebalance) => {
                let taken = self.coordinator(|coordinator, group, member| coordinator.group(group).shake(member));
                return self.revoke(taken, false, changes);
            }
            Some(Fault::MembershipLost) => {
                self.coordinator(|coordinator, group, member| coordinator.group(group).remove(member));
            }
            Some(Fault::ForeignOffsetCommit) => self.commit_foreign()?,
            _ => {}
        }
        let seen = self.version;
        let until_ms = alive_until_ms(&self.producer.log.options);
        let (version, handover) = self.coordinator(|coordinator, group, member| {
            if let Some(until_ms) = until_ms {
                coordinator.abandon(group, member, until_ms);
            }
            let group = coordinator.group(group);
            if seen == Some(group.version()) && group.has(member) {
                return (group.version(), Some(Default::default()));
            }
            let handover = group.sync(member);
            (group.version(), handover)
        });
        self.version = Some(version);
        let Some(handover) = handover else {
            let lost = self.owned.iter().filter_map(|owned| self.place_of(owned.at)).collect();
            let (inputs, instance_id) = (widths(&self.inputs), self.instance_id.clone());
            self.member = self.coordinator(|coordinator, group, _| {
                let member = coordinator.next_member();
                coordinator.group(group).join(member, &instance_id, inputs);
                member
            });
            self.version = None;
            return self.revoke(lost, true, changes);
        };
        self.revoke(handover.revoked, false, changes)?;
        self.take(handover.assigned, changes);
        Ok(())
    }

    fn coordinator<T>(&self, work: impl FnOnce(&mut Coordinator, &str, u64) -> T) -> T {
        work(&mut self.producer.log.coordinator.lock(), &self.group, self.member)
    }

    fn revoke(&mut self, places: Vec<Place>, lost: bool, changes: &mut Vec<Change>) -> Result<()> {
        let mut partitions: Vec<TopicPartition> = places.into_iter().filter_map(|place| self.at(place)).collect();
        if partitions.is_empty() {
            return Ok(());
        }
        partitions.sort_unstable();
        self.producer.drop_transaction();
        self.owned.retain(|owned| !partitions.contains(&owned.at));
        changes.push(Change::Revoked { partitions, lost });
        // What is free now, others wait for.
        self.producer.log.wake.notify();
        Ok(())
    }

    fn take(&mut self, places: Vec<Place>, changes: &mut Vec<Change>) {
        let mut partitions: Vec<TopicPartition> = places.into_iter().filter_map(|place| self.at(place)).collect();
        if partitions.is_empty() {
            return;
        }
        partitions.sort_unstable();
        for &at in &partitions {
            let topic = self.inputs.get(usize::from(at.topic));
            if let Some(partition) = topic.and_then(|topic| topic.partitions.get(at.partition as usize)) {
                let partition = Arc::clone(partition);
                self.owned.push(Owned { at, partition, next: None, paused: false });
            }
        }
        self.owned.sort_by_key(|owned| owned.at);
        changes.push(Change::Assigned(partitions));
    }

    /// What a careless tool could do to the group's offsets.
    fn commit_foreign(&mut self) -> Result<()> {
        let Some(owned) = self.owned.first() else { return Ok(()) };
        let committed = Committed { offset: owned.partition.earliest(), metadata: String::new() };
        self.producer.log.commit_foreign(&self.group, &owned.partition, committed)
    }

    fn fill(&mut self, batch: &mut Batch) -> Result<()> {
        let count = self.owned.len();
        for n in 0..count {
            let Some(owned) = self.owned.get_mut((self.turn + n) % count) else { continue };
            let Some(next) = owned.next.as_mut().filter(|_| !owned.paused) else { continue };
            match self.producer.log.fill(&owned.partition, next, owned.at.topic, batch) {
                Ok(false) => {}
                Ok(true) => {
                    // Whoever filled the batch comes last the next time: a backlog keeps no other partition waiting.
                    self.turn = (self.turn + n + 1) % count;
                    return Ok(());
                }
                Err(error) if batch.is_empty() => return Err(error),
                Err(error) => {
                    self.deferred = Some(error);
                    break;
                }
            }
        }
        self.turn = (self.turn + 1) % count.max(1);
        Ok(())
    }

    fn offset_writes(&self, offsets: &[OffsetCommit]) -> Result<Vec<OffsetWrite>> {
        let mut writes = Vec::with_capacity(offsets.len());
        for offset in offsets {
            if offset.metadata.len() > MAX_METADATA_BYTES {
                let bytes = offset.metadata.len();
                return Err(TransportError::Other(format!(
                    "the note beside an offset has {bytes} bytes; the limit is {MAX_METADATA_BYTES}"
                )));
            }
            let not_owned = || {
                let (topic, partition) = (offset.partition.topic, offset.partition.partition);
                TransportError::Fenced(format!("input {topic} partition {partition} is not owned by this member"))
            };
            let (topic_id, partition) = self.place_of(offset.partition).ok_or_else(not_owned)?;
            let committed = Committed { offset: offset.offset, metadata: offset.metadata.clone() };
            writes.push(OffsetWrite { group: self.group.clone(), topic_id, partition, committed });
        }
        Ok(writes)
    }

    fn commit_with(&mut self, offsets: &[OffsetCommit]) -> CommitOutcome {
        let writes = match self.offset_writes(offsets) {
            Ok(writes) => writes,
            Err(error) => {
                self.producer.drop_transaction();
                return match error {
                    TransportError::Fenced(why) => CommitOutcome::Fenced(why),
                    other => CommitOutcome::Aborted(other.to_string()),
                };
            }
        };
        let (group, member) = (self.group.clone(), self.member);
        let places: Vec<Place> = writes.iter().map(|write| (write.topic_id, write.partition)).collect();
        self.producer.commit(
            writes,
            |coordinator| {
                let group = coordinator.group(&group);
                if !group.has(member) {
                    return Err(TransportError::Fenced("the membership has ended; poll to join again".into()));
                }
                match places.iter().find(|&&place| !group.owns(member, place)) {
                    Some((topic, partition)) => Err(TransportError::Fenced(format!(
                        "topic number {topic} partition {partition} is not owned by this member"
                    ))),
                    None => Ok(()),
                }
            },
            |coordinator| coordinator.group(&self.group).remove(member),
        )
    }
}

/// Until when a member that polls now is not taken for dead.
fn alive_until_ms(options: &LocalOptions) -> Option<i64> {
    options.max_poll_interval_ms.map(|interval_ms| options.clock.now_ms() + interval_ms)
}

fn widths(topics: &[Arc<Topic>]) -> Vec<(u32, u32)> {
    topics.iter().map(|topic| (topic.id, u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX))).collect()
}

impl<S: Store> Member for LocalMember<S> {
    fn poll(&mut self, max_wait: Duration, batch: &mut Batch, changes: &mut Vec<Change>) -> Result<()> {
        batch.clear();
        if let Some(error) = self.deferred.take() {
            return Err(error);
        }
        let deadline = Instant::now() + max_wait;
        let told = changes.len();
        loop {
            let seen = self.producer.log.wake.version();
            self.producer.log.check_alive()?;
            self.follow_group(changes)?;
            if changes.len() > told {
                return Ok(());
            }
            self.fill(batch)?;
            if !batch.is_empty() || !self.producer.log.wake.wait(seen, deadline) {
                return Ok(());
            }
        }
    }

    fn at_end(&mut self, partition: TopicPartition) -> Result<bool> {
        self.producer.log.check_alive()?;
        let owned = self.owned_mut(partition)?;
        Ok(owned.next.is_some_and(|next| owned.partition.at_end(next)))
    }

    fn seek(&mut self, partition: TopicPartition, offset: u64) -> Result<()> {
        self.producer.log.check_alive()?;
        self.owned_mut(partition)?.next = Some(offset);
        Ok(())
    }

    fn backlog(&mut self, partition: TopicPartition) -> Result<Option<u64>> {
        let owned = self.owned_mut(partition)?;
        let Some(next) = owned.next else { return Ok(None) };
        if owned.partition.at_end(next) {
            return Ok(Some(0));
        }
        Ok(Some(owned.partition.stable_end().saturating_sub(next.max(owned.partition.earliest()))))
    }

    fn earliest(&mut self, partition: TopicPartition) -> Result<u64> {
        self.producer.log.check_alive()?;
        Ok(self.owned_mut(partition)?.partition.earliest())
    }

    fn pause(&mut self, partition: TopicPartition) -> Result<()> {
        self.owned_mut(partition)?.paused = true;
        Ok(())
    }

    fn resume(&mut self, partition: TopicPartition) -> Result<()> {
        self.owned_mut(partition)?.paused = false;
        Ok(())
    }

    fn committed(&mut self, partition: TopicPartition) -> Result<Option<Committed>> {
        self.producer.log.check_alive()?;
        let topic = self.inputs.get(usize::from(partition.topic));
        let place = topic.and_then(|topic| topic.partitions.get(partition.partition as usize));
        match place {
            Some(place) => self.producer.log.committed_in(&self.group, place),
            None => Err(TransportError::Other(format!(
                "input {} partition {} does not exist",
                partition.topic, partition.partition
            ))),
        }
    }

    fn send(&mut self, append: Append<'_>) -> Result<()> {
        self.producer.send(&append)
    }

    fn send_packed(&mut self, topic: u16, partition: u32, records: Packed) -> Result<()> {
        self.producer.send_packed(topic, partition, records)
    }

    fn commit(&mut self, offsets: &[OffsetCommit]) -> CommitOutcome {
        self.commit_with(offsets)
    }

    fn abort(&mut self) -> Result<()> {
        self.producer.abort()
    }

    fn commit_offsets(&mut self, offsets: &[OffsetCommit]) -> CommitOutcome {
        if self.producer.has_open_transaction() {
            return CommitOutcome::Aborted("a transaction is open: commit its offsets with it".into());
        }
        self.commit_with(offsets)
    }

    fn settle(&mut self) -> Result<()> {
        self.producer.settle()
    }

    fn close(mut self: Box<Self>) -> Result<()> {
        self.closed = true;
        self.producer.log.check_alive()?;
        self.producer.drop_transaction();
        self.coordinator(|coordinator, group, member| coordinator.group(group).remove(member));
        self.producer.log.wake.notify();
        Ok(())
    }
}

impl<S: Store> Drop for LocalMember<S> {
    fn drop(&mut self) {
        if !self.closed {
            let expires_at_ms = self.producer.log.options.clock.now_ms() + self.producer.log.options.session_timeout_ms;
            self.coordinator(|coordinator, group, member| coordinator.abandon(group, member, expires_at_ms));
        }
    }
}
