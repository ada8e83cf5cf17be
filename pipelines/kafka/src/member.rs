//! A member of a consumer group with its transactional producer.

use std::time::{Duration, Instant};

use millstream_transports::{
    Append, Batch, Change, CommitOutcome, Committed, Member, MemberConfig, OffsetCommit, RecordRef, Result,
    TopicPartition, TransportError,
};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};

use crate::config::KafkaConfig;
use crate::errors::{Meaning, describe, meaning};
use crate::group::{GroupConsumer, Rebalance, list_of};
use crate::settings;
use crate::topics::{self, REQUEST};
use crate::transactional::{GroupOffsets, TransactionalProducer};

mod owned;

use owned::Owned;

/// Records and bytes of one poll.
const POLL_RECORDS: usize = 10_000;
const POLL_BYTES: usize = 4 << 20;
/// Offset metadata beyond this is refused (the broker's default limit is 4,096).
const METADATA_BYTES: usize = 3_000;
/// Between a consumer that failed for good and the next.
const REJOIN_PAUSE: Duration = Duration::from_millis(500);

/// [`Member`] on Kafka.
pub struct KafkaMember {
    settings: KafkaConfig,
    consumer_config: ClientConfig,
    config: MemberConfig,
    group: GroupConsumer,
    producer: Option<TransactionalProducer>,
    owned: Owned,
    taken_over: Option<String>,
    unsettled: bool,
    /// The group has gone on without us, and no new assignment has come since: what is revoked now, another may own already.
    left_behind: bool,
    /// The consumer is beyond repair; the next step is a new one.
    rejoin: bool,
    last_poll: Instant,
    max_poll_interval: Duration,
}

impl KafkaMember {
    /// Fences the predecessor with the same instance id, settles its transaction and joins the group.
    pub(crate) fn join(settings: &KafkaConfig, config: MemberConfig) -> Result<Self> {
        let consumer_config = settings::group_member(settings, &config.group, &config.instance_id)?;
        let producer = if config.outputs.is_empty() { None } else { Some(start_producer(settings, &config)?) };
        let group = GroupConsumer::join(&consumer_config, &config.inputs)?;
        Ok(Self {
            settings: settings.clone(),
            consumer_config,
            owned: Owned::new(config.inputs.len()),
            config,
            group,
            producer,
            taken_over: None,
            unsettled: false,
            left_behind: false,
            rejoin: false,
            last_poll: Instant::now(),
            max_poll_interval: settings::max_poll_interval(settings),
        })
    }

    fn topic(&self, index: u16) -> Result<&str> {
        self.config.inputs.get(usize::from(index)).map(String::as_str).ok_or_else(|| {
            TransportError::Other(format!("input {index} was not declared; {} are", self.config.inputs.len()))
        })
    }

    fn name(&self, partition: TopicPartition) -> Result<(String, i32)> {
        Ok((self.topic(partition.topic)?.to_owned(), number(partition.partition)))
    }

    fn require_owned(&self, partition: TopicPartition) -> Result<()> {
        if self.owned.get(partition).is_some() {
            return Ok(());
        }
        let topic = self.topic(partition.topic)?;
        Err(TransportError::Other(format!("{topic}[{}] is not assigned to this member", partition.partition)))
    }

    fn check_taken_over(&mut self) -> Result<()> {
        if self.taken_over.is_none() {
            let by_producer = self.producer.as_ref().and_then(|producer| producer.taken_over());
            self.taken_over = by_producer.map(str::to_owned);
        }
        match &self.taken_over {
            Some(reason) => Err(TransportError::Fenced(reason.clone())),
            None => Ok(()),
        }
    }

    fn producer(&mut self) -> Result<&mut TransactionalProducer> {
        if self.producer.is_none() {
            self.producer = Some(start_producer(&self.settings, &self.config)?);
        }
        self.producer.as_mut().ok_or_else(|| TransportError::Other("no producer".to_owned()))
    }

    /// Takes the waiting rebalance steps, in order.
    fn serve_rebalances(&mut self, changes: &mut Vec<Change>) -> Result<()> {
        while let Some(step) = self.group.next_rebalance() {
            match step {
                Rebalance::Revoke { partitions, lost } => {
                    // Before the partitions go: their next owner must not wait for our transaction, nor read its records.
                    if let Some(producer) = &mut self.producer {
                        match producer.abort() {
                            Ok(()) | Err(TransportError::Fenced(_)) => {}
                            Err(error) => tracing::warn!(target: "kafka", %error, "aborting before a revocation"),
                        }
                    }
                    let gone = self.owned.remove(&self.indexed(&partitions));
                    self.group.release(&partitions).map_err(|error| describe("giving partitions up", &error, None))?;
                    if !gone.is_empty() {
                        // A revocation that was announced in order is none any more when we answer it too late.
                        changes.push(Change::Revoked { partitions: gone, lost: lost || self.left_behind });
                    }
                }
                Rebalance::Assign(partitions) => {
                    self.left_behind = false;
                    self.group.take(&partitions).map_err(|error| describe("taking partitions over", &error, None))?;
                    let new = self.owned.add(&self.indexed(&partitions));
                    if !new.is_empty() {
                        changes.push(Change::Assigned(new));
                    }
                }
            }
        }
        Ok(())
    }

    /// Replaces the consumer; what was owned is lost.
    fn join_again(&mut self, changes: &mut Vec<Change>) -> Result<()> {
        std::thread::sleep(REJOIN_PAUSE);
        if let Some(producer) = &mut self.producer {
            match producer.abort() {
                Ok(()) | Err(TransportError::Fenced(_)) => {}
                Err(error) => tracing::warn!(target: "kafka", %error, "aborting before joining again"),
            }
        }
        let lost = self.owned.all();
        if !lost.is_empty() {
            changes.push(Change::Revoked { partitions: lost, lost: true });
        }
        self.owned = Owned::new(self.config.inputs.len());
        self.left_behind = true;
        self.group = GroupConsumer::join(&self.consumer_config, &self.config.inputs)?;
        self.rejoin = false;
        Ok(())
    }

    fn indexed(&self, partitions: &[(String, i32)]) -> Vec<TopicPartition> {
        let mut found: Vec<TopicPartition> = partitions
            .iter()
            .filter_map(|(topic, partition)| {
                let index = self.config.inputs.iter().position(|input| input == topic)?;
                Some(TopicPartition { topic: u16::try_from(index).ok()?, partition: u32::try_from(*partition).ok()? })
            })
            .collect();
        found.sort_unstable();
        found
    }

    /// An error from the consumer: `Ok` where librdkafka deals with it by itself.
    fn failed_poll(&mut self, error: &KafkaError) -> Result<()> {
        let Some(code) = error.rdkafka_error_code() else { return Ok(()) };
        let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
        let reason = || self.group.consumer.client().fatal_error().map_or_else(|| error.to_string(), |(_, text)| text);
        match meaning(code) {
            Meaning::TakenOver => {
                let reason = format!("instance id {}: {}", self.config.instance_id, reason());
                self.taken_over = Some(reason.clone());
                Err(TransportError::Fenced(reason))
            }
            // KIP-848: a predecessor that was killed still holds the instance id, or the broker does not know what to make of a
            // member that comes back. librdkafka gives up for good; a new consumer does not.
            _ if fatal => {
                tracing::warn!(target: "kafka", instance = %self.config.instance_id, reason = reason(), "the consumer failed for good; joining again");
                self.rejoin = true;
                Ok(())
            }
            Meaning::Other if matches!(code, Code::AutoOffsetReset | Code::OffsetOutOfRange) => {
                Err(self.out_of_range())
            }
            Meaning::UnknownTopic => {
                for topic in &self.config.inputs {
                    topics::partition_count(&self.group, topic)?;
                }
                Ok(())
            }
            Meaning::NotAllowed => Err(describe("reading", error, self.group.explanation())),
            // The client reconnects by itself; a lost membership comes back as a revocation.
            Meaning::Transient | Meaning::StaleGroup | Meaning::Other => {
                tracing::debug!(target: "kafka", %error, "poll");
                Ok(())
            }
        }
    }

    /// Which of our partitions is meant: the error itself does not say.
    fn out_of_range(&mut self) -> TransportError {
        let candidates: Vec<(TopicPartition, u64)> = self.owned.sought().collect();
        for (partition, next) in candidates {
            let Ok(name) = self.name(partition) else { continue };
            let Ok((earliest, end)) = topics::watermarks(&self.group, &name.0, name.1) else { continue };
            let next = self.position(&name).unwrap_or(next);
            if next < earliest || next > end {
                return TransportError::OffsetOutOfRange {
                    topic: name.0,
                    partition: partition.partition,
                    offset: next,
                    earliest,
                };
            }
        }
        TransportError::Unavailable(
            "a partition's offset was reported out of range, yet none is; seek all partitions again".to_owned(),
        )
    }

    fn position(&self, name: &(String, i32)) -> Option<u64> {
        let positions = self.group.consumer.position().ok()?;
        match positions.find_partition(&name.0, name.1)?.offset() {
            Offset::Offset(offset) => u64::try_from(offset).ok(),
            _ => None,
        }
    }

    fn offset_list(&self, offsets: &[OffsetCommit]) -> std::result::Result<TopicPartitionList, CommitOutcome> {
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for commit in offsets {
            let refused = |reason: String| CommitOutcome::Fenced(reason);
            if self.owned.get(commit.partition).is_none() {
                return Err(refused(format!(
                    "partition {} of input {} does not belong to member {}",
                    commit.partition.partition, commit.partition.topic, self.config.instance_id
                )));
            }
            if commit.metadata.len() > METADATA_BYTES {
                return Err(CommitOutcome::Aborted(format!(
                    "offset metadata of {} bytes exceeds the limit of {METADATA_BYTES}",
                    commit.metadata.len()
                )));
            }
            let (topic, partition) =
                self.name(commit.partition).map_err(|error| CommitOutcome::Aborted(error.to_string()))?;
            let offset = Offset::Offset(i64::try_from(commit.offset).unwrap_or(i64::MAX));
            let mut element = list.add_partition(&topic, partition);
            element.set_offset(offset).map_err(|error| CommitOutcome::Aborted(error.to_string()))?;
            if !commit.metadata.is_empty() {
                element.set_metadata(&commit.metadata);
            }
        }
        Ok(list)
    }

    /// Ends the open transaction because the commit was refused before it began.
    fn refuse(&mut self, outcome: CommitOutcome) -> CommitOutcome {
        match self.abort() {
            Err(TransportError::Fenced(reason)) => CommitOutcome::Fenced(reason),
            Ok(()) | Err(_) => outcome,
        }
    }

    /// What forbids a commit from the start.
    fn forbidden(&mut self) -> Option<CommitOutcome> {
        if let Err(error) = self.check_taken_over() {
            return Some(CommitOutcome::Fenced(error.to_string()));
        }
        if self.unsettled {
            return Some(CommitOutcome::Unknown("an earlier commit's outcome is unknown; settle first".to_owned()));
        }
        if self.left_behind || self.group.consumer.assignment_lost() {
            return Some(CommitOutcome::Fenced("the group went on without this member".to_owned()));
        }
        None
    }
}

fn start_producer(settings: &KafkaConfig, config: &MemberConfig) -> Result<TransactionalProducer> {
    let id = format!("{}-{}", config.group, config.instance_id);
    let client = settings::transactional(settings, &id)?;
    TransactionalProducer::start(client, &id, config.outputs.clone(), settings::max_record_bytes(settings))
}

fn number(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

/// Copies a message into the batch. Says false where it belongs to a partition that was not sought, or is a leftover.
fn deliver(owned: &mut Owned, inputs: &[String], message: &BorrowedMessage<'_>, batch: &mut Batch) -> bool {
    let index = || {
        let topic = message.topic();
        u16::try_from(inputs.iter().position(|input| input == topic)?).ok()
    };
    let Some(partition) = owned.resolve(message.topic_ptr() as usize, index, message.partition()) else {
        return false;
    };
    let Ok(offset) = u64::try_from(message.offset()) else { return false };
    if !owned.advance(partition, offset) {
        return false;
    }
    batch.push(RecordRef {
        topic: partition.topic,
        partition: partition.partition,
        offset,
        timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
        key: message.key().unwrap_or_default(),
        value: message.payload().unwrap_or_default(),
    });
    true
}

impl Member for KafkaMember {
    fn poll(&mut self, max_wait: Duration, batch: &mut Batch, changes: &mut Vec<Change>) -> Result<()> {
        batch.clear();
        self.check_taken_over()?;
        let now = Instant::now();
        self.left_behind |= now.duration_since(std::mem::replace(&mut self.last_poll, now)) > self.max_poll_interval;
        if let Some(producer) = &self.producer {
            producer.serve();
        }
        let deadline = Instant::now() + max_wait;
        loop {
            if self.rejoin {
                if batch.is_empty() {
                    self.join_again(changes)?;
                }
                return Ok(());
            }
            if self.group.has_rebalance() {
                if !batch.is_empty() {
                    // These records come first; the rebalance waits for the next poll.
                    return Ok(());
                }
                self.serve_rebalances(changes)?;
                if !changes.is_empty() {
                    return Ok(());
                }
            }
            let wait =
                if batch.is_empty() { deadline.saturating_duration_since(Instant::now()) } else { Duration::ZERO };
            let failed = match self.group.consumer.poll(round_up(wait)) {
                Some(Ok(message)) => {
                    deliver(&mut self.owned, &self.config.inputs, &message, batch);
                    if batch.len() >= POLL_RECORDS || batch.size_bytes() >= POLL_BYTES {
                        return Ok(());
                    }
                    continue;
                }
                Some(Err(error)) => error,
                // Also what a served rebalance looks like; the loop looks again.
                None if self.group.has_rebalance() => continue,
                None if !batch.is_empty() || Instant::now() >= deadline => return Ok(()),
                None => continue,
            };
            self.failed_poll(&failed)?;
            if Instant::now() >= deadline {
                return Ok(());
            }
        }
    }

    fn at_end(&mut self, partition: TopicPartition) -> Result<bool> {
        self.check_taken_over()?;
        self.require_owned(partition)?;
        let Some(next) = self.owned.get(partition).and_then(|state| state.next) else { return Ok(false) };
        let name = self.name(partition)?;
        let (earliest, end) = topics::watermarks(&self.group, &name.0, name.1)?;
        // The position counts transaction markers that were passed, which no record shows.
        let position = self.position(&name).unwrap_or(0).max(next);
        Ok(position >= end || (position == 0 && earliest >= end))
    }

    fn seek(&mut self, partition: TopicPartition, offset: u64) -> Result<()> {
        self.check_taken_over()?;
        self.require_owned(partition)?;
        let name = self.name(partition)?;
        let target = if offset == 0 {
            Offset::Beginning
        } else {
            let (earliest, end) = topics::watermarks(&self.group, &name.0, name.1)?;
            if offset < earliest || offset > end {
                return Err(TransportError::OffsetOutOfRange {
                    topic: name.0,
                    partition: partition.partition,
                    offset,
                    earliest,
                });
            }
            Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX))
        };
        seek_to(&self.group, &name, target)?;
        self.owned.set_sought(partition, offset);
        if self.owned.needs_resume(partition) {
            self.group.consumer.resume(&one(&name)?).map_err(|error| describe("resuming a partition", &error, None))?;
            self.owned.set_flowing(partition, true);
        }
        Ok(())
    }

    fn earliest(&mut self, partition: TopicPartition) -> Result<u64> {
        let name = self.name(partition)?;
        Ok(topics::watermarks(&self.group, &name.0, name.1)?.0)
    }

    fn pause(&mut self, partition: TopicPartition) -> Result<()> {
        self.require_owned(partition)?;
        self.owned.set_paused(partition, true);
        if self.owned.needs_pause(partition) {
            let name = self.name(partition)?;
            self.group.consumer.pause(&one(&name)?).map_err(|error| describe("pausing a partition", &error, None))?;
            self.owned.set_flowing(partition, false);
        }
        Ok(())
    }

    fn resume(&mut self, partition: TopicPartition) -> Result<()> {
        self.require_owned(partition)?;
        self.owned.set_paused(partition, false);
        if let Some(owned::State { dropped: true, next: Some(next), .. }) = self.owned.get(partition).copied() {
            return self.seek(partition, next);
        }
        if self.owned.needs_resume(partition) {
            let name = self.name(partition)?;
            self.group.consumer.resume(&one(&name)?).map_err(|error| describe("resuming a partition", &error, None))?;
            self.owned.set_flowing(partition, true);
        }
        Ok(())
    }

    fn committed(&mut self, partition: TopicPartition) -> Result<Option<Committed>> {
        let name = self.name(partition)?;
        topics::committed(&self.group, &name.0, name.1)
    }

    fn send(&mut self, append: Append<'_>) -> Result<()> {
        self.check_taken_over()?;
        if self.unsettled {
            return Err(TransportError::Other("an earlier commit's outcome is unknown; settle first".to_owned()));
        }
        self.producer()?.send(&append)
    }

    fn commit(&mut self, offsets: &[OffsetCommit]) -> CommitOutcome {
        if let Some(outcome) = self.forbidden() {
            return self.refuse(outcome);
        }
        let list = match self.offset_list(offsets) {
            Ok(list) => list,
            Err(outcome) => return self.refuse(outcome),
        };
        let Some(metadata) = self.group.consumer.group_metadata() else {
            return self.refuse(CommitOutcome::Fenced("the consumer has no group".to_owned()));
        };
        let producer = match self.producer() {
            Ok(producer) => producer,
            Err(error) => return CommitOutcome::Aborted(error.to_string()),
        };
        let offsets = (list.count() > 0).then_some(GroupOffsets { offsets: &list, group: &metadata });
        let outcome = producer.commit(offsets);
        self.unsettled = matches!(outcome, CommitOutcome::Unknown(_));
        self.left_behind |= matches!(outcome, CommitOutcome::Fenced(_));
        outcome
    }

    fn abort(&mut self) -> Result<()> {
        match &mut self.producer {
            Some(producer) if !self.unsettled => producer.abort(),
            Some(_) | None => Ok(()),
        }
    }

    fn commit_offsets(&mut self, offsets: &[OffsetCommit]) -> CommitOutcome {
        if let Some(outcome) = self.forbidden() {
            return outcome;
        }
        let list = match self.offset_list(offsets) {
            Ok(list) => list,
            Err(outcome) => return outcome,
        };
        if list.count() == 0 {
            return CommitOutcome::Committed;
        }
        let Err(error) = self.group.consumer.commit(&list, CommitMode::Sync) else { return CommitOutcome::Committed };
        let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
        let reason = error.to_string();
        match meaning(code) {
            Meaning::TakenOver => {
                self.taken_over = Some(reason.clone());
                CommitOutcome::Fenced(reason)
            }
            Meaning::StaleGroup => {
                self.left_behind = true;
                CommitOutcome::Fenced(reason)
            }
            // Refused by the coordinator, so certain.
            _ if matches!(
                code,
                Code::RebalanceInProgress | Code::OffsetMetadataTooLarge | Code::InvalidCommitOffsetSize
            ) =>
            {
                CommitOutcome::Aborted(reason)
            }
            Meaning::NotAllowed | Meaning::UnknownTopic => CommitOutcome::Aborted(reason),
            Meaning::Transient | Meaning::Other => CommitOutcome::Unknown(reason),
        }
    }

    fn settle(&mut self) -> Result<()> {
        self.check_taken_over()?;
        if let Some((code, text)) = self.group.consumer.client().fatal_error() {
            if meaning(code) == Meaning::TakenOver {
                // A new producer would fence the one who took over.
                self.taken_over = Some(text.clone());
                return Err(TransportError::Fenced(text));
            }
        }
        if let Some(producer) = &mut self.producer {
            producer.restart()?;
        }
        self.unsettled = false;
        Ok(())
    }

    fn close(mut self: Box<Self>) -> Result<()> {
        let aborted = Member::abort(&mut *self);
        drop(self);
        match aborted {
            Ok(()) | Err(TransportError::Fenced(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn one(name: &(String, i32)) -> Result<TopicPartitionList> {
    list_of(std::slice::from_ref(name), Offset::Invalid).map_err(|error| describe("naming a partition", &error, None))
}

/// librdkafka waits in whole milliseconds: a rest of less would become a busy loop.
fn round_up(wait: Duration) -> Duration {
    if wait.is_zero() { wait } else { wait.max(Duration::from_millis(1)) }
}

/// Seeks, waiting until the partition that was just assigned has started.
fn seek_to(group: &GroupConsumer, name: &(String, i32), target: Offset) -> Result<()> {
    let deadline = Instant::now() + REQUEST;
    loop {
        let list = list_of(std::slice::from_ref(name), target).map_err(|error| describe("seeking", &error, None))?;
        let sought = group
            .consumer
            .seek_partitions(list, REQUEST)
            .map_err(|error| describe("seeking", &error, group.explanation()))?;
        let state = sought.find_partition(&name.0, name.1).map_or(Ok(()), |element| element.error());
        match state {
            Ok(()) => return Ok(()),
            Err(KafkaError::OffsetFetch(Code::State | Code::PreviousInProgress | Code::UnknownPartition))
                if Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => {
                return Err(describe(&format!("seeking {}[{}]", name.0, name.1), &error, group.explanation()));
            }
        }
    }
}
