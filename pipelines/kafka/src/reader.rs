//! Reads one partition outside any group.

use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream_transports::{Batch, Reader, RecordRef, Result, TransportError};
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::Message;

use crate::config::KafkaConfig;
use crate::errors::{Meaning, damaged, describe, meaning};
use crate::events::Quiet;
use crate::group::list_of;
use crate::idle_readers::{IdleReaders, ReaderClient};
use crate::topics;

const POLL_RECORDS: usize = 10_000;
const POLL_BYTES: usize = 4 << 20;
/// How often a reader near the end looks whether it has come there.
const MARK_LOOK: Duration = Duration::from_millis(5);

/// [`Reader`] on Kafka.
pub struct KafkaReader {
    /// Given back when the reader is closed.
    client: Arc<ReaderClient>,
    idle: IdleReaders,
    /// Is asked where the partition ends: a question on the reader's own connection waits until the fetch under way is answered.
    inquirer: Arc<BaseConsumer<Quiet>>,
    topic: String,
    partition: u32,
    next: u64,
    /// Where the partition ended when that was last asked.
    end: u64,
    /// Whether it met an error: its client is not for others.
    has_failed: bool,
}

impl KafkaReader {
    /// Opens the partition at `offset`; 0 is the earliest record left.
    pub(crate) fn open(
        config: &KafkaConfig,
        inquirer: &Arc<BaseConsumer<Quiet>>,
        idle: &IdleReaders,
        topic: &str,
        partition: u32,
        offset: u64,
    ) -> Result<Self> {
        let (client, idle, inquirer) = (idle.take(config, topic, partition)?, idle.clone(), Arc::clone(inquirer));
        let reader = Self {
            client,
            idle,
            inquirer,
            topic: topic.to_owned(),
            partition,
            next: offset,
            end: 0,
            has_failed: false,
        };
        // By the reader's own client, which then knows where to read.
        let count = topics::partition_count(&reader.client.consumer, topic)?;
        if partition >= count {
            return Err(TransportError::Other(format!(
                "{topic} has {count} partitions; there is no partition {partition}"
            )));
        }
        let start = if offset == 0 {
            Offset::Beginning
        } else {
            let (earliest, end) = reader.ends()?;
            if offset < earliest || offset > end {
                return Err(reader.out_of_range(offset, earliest));
            }
            Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX))
        };
        let list = list_of(&[(topic.to_owned(), reader.number())], start)
            .map_err(|error| describe("naming a partition", &error, None))?;
        reader
            .client
            .consumer
            .assign(&list)
            .map_err(|error| describe(&format!("reading {topic}[{partition}]"), &error, None))?;
        Ok(reader)
    }

    fn number(&self) -> i32 {
        i32::try_from(self.partition).unwrap_or(i32::MAX)
    }

    fn ends(&self) -> Result<(u64, u64)> {
        topics::watermarks(self.inquirer.as_ref(), &self.topic, self.number())
    }

    fn out_of_range(&self, offset: u64, earliest: u64) -> TransportError {
        TransportError::OffsetOutOfRange { topic: self.topic.clone(), partition: self.partition, offset, earliest }
    }

    fn position(&self) -> u64 {
        let position = self.client.consumer.position().ok().and_then(|list| {
            match list.find_partition(&self.topic, self.number())?.offset() {
                Offset::Offset(offset) => u64::try_from(offset).ok(),
                _ => None,
            }
        });
        position.unwrap_or(0).max(self.next)
    }

    fn failed_poll(&self, error: &KafkaError) -> Result<()> {
        let Some(code) = error.rdkafka_error_code() else { return Ok(()) };
        match meaning(code) {
            _ if matches!(code, Code::AutoOffsetReset | Code::OffsetOutOfRange) => {
                Err(self.out_of_range(self.position(), self.ends()?.0))
            }
            Meaning::UnknownTopic => Err(TransportError::UnknownTopic(self.topic.clone())),
            Meaning::NotAllowed => Err(describe(
                &format!("reading {}", self.topic),
                error,
                self.client.consumer.context().errors.explanation(),
            )),
            Meaning::Damaged => Err(damaged(&format!("{}[{}]", self.topic, self.partition), error)),
            Meaning::TakenOver | Meaning::Other => Err(describe(&format!("reading {}", self.topic), error, None)),
            Meaning::Transient | Meaning::StaleGroup | Meaning::Passing => {
                tracing::debug!(target: "kafka", %error, "poll");
                Ok(())
            }
        }
    }
}

impl Drop for KafkaReader {
    fn drop(&mut self) {
        if !self.has_failed {
            self.idle.keep(Arc::clone(&self.client));
        }
    }
}

impl Reader for KafkaReader {
    fn poll(&mut self, max_wait: Duration, batch: &mut Batch) -> Result<()> {
        batch.clear();
        let deadline = Instant::now() + max_wait;
        // What stands at the end is mostly the mark of a transaction, which is never handed over: who waits behind it waits in vain.
        let comes_to_end = self.position() < self.end;
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            let rest = if comes_to_end { rest.min(MARK_LOOK) } else { rest };
            let wait =
                if batch.is_empty() && !rest.is_zero() { rest.max(Duration::from_millis(1)) } else { Duration::ZERO };
            match self.client.consumer.poll(wait) {
                Some(Ok(message)) => {
                    // The client may have read another partition before.
                    let is_ours = message.partition() == self.number() && message.topic() == self.topic;
                    let Some(offset) = u64::try_from(message.offset()).ok().filter(|_| is_ours) else { continue };
                    self.next = offset + 1;
                    batch.push(RecordRef {
                        topic: 0,
                        partition: self.partition,
                        offset,
                        timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
                        key: message.key().unwrap_or_default(),
                        value: message.payload().unwrap_or_default(),
                    });
                    if batch.len() >= POLL_RECORDS || batch.size_bytes() >= POLL_BYTES {
                        return Ok(());
                    }
                }
                Some(Err(error)) => {
                    self.has_failed = true;
                    self.failed_poll(&error)?;
                    if Instant::now() >= deadline {
                        return Ok(());
                    }
                }
                None if !batch.is_empty() || Instant::now() >= deadline => return Ok(()),
                None if comes_to_end && self.position() >= self.end => return Ok(()),
                None => {}
            }
        }
    }

    fn at_end(&mut self) -> Result<bool> {
        let (earliest, end) = self.ends()?;
        self.end = end;
        let position = self.position();
        Ok(position >= end || (position == 0 && earliest >= end))
    }
}
