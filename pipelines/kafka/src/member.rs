//! A member of a consumer group with its transactional producer.

use std::time::{Duration, Instant};

use millstream_transports::{
    Append, Batch, Change, CommitOutcome, Committed, Member, MemberConfig, OffsetCommit, RecordRef, Result,
    TopicPartition, TransportError,
};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};

use crate::config::KafkaConfig;
use crate::errors::{Meaning, describe, meaning};
use crate::group::{GroupConsumer, list_of};
use crate::settings;
use crate::topics::{self, REQUEST};
use crate::transactional::TransactionalProducer;

mod commit;
mod owned;
mod rebalance;

use owned::Owned;

/// Records and bytes of one poll.
const POLL_RECORDS: usize = 10_000;
const POLL_BYTES: usize = 4 << 20;

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
    /// The newest offset that this member committed, for transactions that come without one.
    last_committed: Option<OffsetCommit>,
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
            last_committed: None,
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

    fn position(&self, name: &(String, i32)) -> Option<u64> {
        let positions = self.group.consumer.position().ok()?;
        match positions.find_partition(&name.0, name.1)?.offset() {
            Offset::Offset(offset) => u64::try_from(offset).ok(),
            _ => None,
        }
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

    fn backlog(&mut self, partition: TopicPartition) -> Result<Option<u64>> {
        self.require_owned(partition)?;
        let Some(next) = self.owned.get(partition).and_then(|state| state.next) else { return Ok(None) };
        let name = self.name(partition)?;
        let (earliest, end) = topics::watermarks(&self.group, &name.0, name.1)?;
        // A paused partition has no position of its own; what was delivered counts then.
        let position = self.position(&name).unwrap_or(0).max(next).max(earliest);
        Ok(Some(end.saturating_sub(position)))
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

    fn abort(&mut self) -> Result<()> {
        match &mut self.producer {
            Some(producer) if !self.unsettled => producer.abort(),
            Some(_) | None => Ok(()),
        }
    }

    fn commit(&mut self, offsets: &[OffsetCommit]) -> CommitOutcome {
        self.commit_transaction(offsets)
    }

    fn commit_offsets(&mut self, offsets: &[OffsetCommit]) -> CommitOutcome {
        self.commit_plain(offsets)
    }

    fn settle(&mut self) -> Result<()> {
        self.check_taken_over()?;
        if let Some((code, text)) = self.group.consumer.client().fatal_error()
            && meaning(code) == Meaning::TakenOver
        {
            // A new producer would fence the one who took over.
            self.taken_over = Some(text.clone());
            return Err(TransportError::Fenced(text));
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
