//! Reads one partition outside any group.

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
use crate::settings;
use crate::topics;

const POLL_RECORDS: usize = 10_000;
const POLL_BYTES: usize = 4 << 20;

/// [`Reader`] on Kafka.
pub struct KafkaReader {
    consumer: BaseConsumer<Quiet>,
    topic: String,
    partition: u32,
    next: u64,
}

impl KafkaReader {
    /// Opens the partition at `offset`; 0 is the earliest record left.
    pub(crate) fn open(config: &KafkaConfig, topic: &str, partition: u32, offset: u64) -> Result<Self> {
        // librdkafka reads assigned partitions only with a group id, though this client never joins nor commits.
        let group = format!("{}-reader", config.client_id);
        let consumer: BaseConsumer<Quiet> = settings::consumer(config, &group)?
            .create_with_context(Quiet::default())
            .map_err(|error| describe("starting a reader", &error, None))?;
        let count = topics::partition_count(&consumer, topic)?;
        if partition >= count {
            return Err(TransportError::Other(format!(
                "{topic} has {count} partitions; there is no partition {partition}"
            )));
        }
        let reader = Self { consumer, topic: topic.to_owned(), partition, next: offset };
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
            .consumer
            .assign(&list)
            .map_err(|error| describe(&format!("reading {topic}[{partition}]"), &error, None))?;
        Ok(reader)
    }

    fn number(&self) -> i32 {
        i32::try_from(self.partition).unwrap_or(i32::MAX)
    }

    fn ends(&self) -> Result<(u64, u64)> {
        topics::watermarks(&self.consumer, &self.topic, self.number())
    }

    fn out_of_range(&self, offset: u64, earliest: u64) -> TransportError {
        TransportError::OffsetOutOfRange { topic: self.topic.clone(), partition: self.partition, offset, earliest }
    }

    fn position(&self) -> u64 {
        let position = self.consumer.position().ok().and_then(|list| {
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
            Meaning::NotAllowed => {
                Err(describe(&format!("reading {}", self.topic), error, self.consumer.context().errors.explanation()))
            }
            Meaning::Damaged => Err(damaged(&format!("{}[{}]", self.topic, self.partition), error)),
            Meaning::TakenOver | Meaning::Other => Err(describe(&format!("reading {}", self.topic), error, None)),
            Meaning::Transient | Meaning::StaleGroup | Meaning::Passing => {
                tracing::debug!(target: "kafka", %error, "poll");
                Ok(())
            }
        }
    }
}

impl Reader for KafkaReader {
    fn poll(&mut self, max_wait: Duration, batch: &mut Batch) -> Result<()> {
        batch.clear();
        let deadline = Instant::now() + max_wait;
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            let wait =
                if batch.is_empty() && !rest.is_zero() { rest.max(Duration::from_millis(1)) } else { Duration::ZERO };
            match self.consumer.poll(wait) {
                Some(Ok(message)) => {
                    let Ok(offset) = u64::try_from(message.offset()) else { continue };
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
                    self.failed_poll(&error)?;
                    if Instant::now() >= deadline {
                        return Ok(());
                    }
                }
                None if !batch.is_empty() || Instant::now() >= deadline => return Ok(()),
                None => {}
            }
        }
    }

    fn at_end(&mut self) -> Result<bool> {
        let (earliest, end) = self.ends()?;
        let position = self.position();
        Ok(position >= end || (position == 0 && earliest >= end))
    }
}
