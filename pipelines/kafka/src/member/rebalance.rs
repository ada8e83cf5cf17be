//! Partitions come and go; and what an error while polling means.

use std::time::Duration;

use millstream_transports::{Change, Result, TopicPartition, TransportError};
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::{KafkaMember, Owned};
use crate::errors::{Meaning, damaged, describe, meaning};
use crate::group::{GroupConsumer, Rebalance};
use crate::topics;

/// Between a consumer that failed for good and the next.
const REJOIN_PAUSE: Duration = Duration::from_millis(500);

impl KafkaMember {
    /// Takes the waiting rebalance steps, in order.
    pub(super) fn serve_rebalances(&mut self, changes: &mut Vec<Change>) -> Result<()> {
        while let Some(step) = self.group.next_rebalance() {
            match step {
                Rebalance::Revoke { partitions, lost } => {
                    // Before the partitions go: their next owner must not wait for our transaction.
                    self.abort_open();
                    self.last_committed = None;
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
    pub(super) fn join_again(&mut self, changes: &mut Vec<Change>) -> Result<()> {
        std::thread::sleep(REJOIN_PAUSE);
        self.abort_open();
        self.group = GroupConsumer::join(&self.consumer_config, &self.config.inputs)?;
        self.rejoin = false;
        self.left_behind = true;
        self.last_committed = None;
        let lost = self.owned.all();
        self.owned = Owned::new(self.config.inputs.len());
        if !lost.is_empty() {
            changes.push(Change::Revoked { partitions: lost, lost: true });
        }
        Ok(())
    }

    fn abort_open(&mut self) {
        if let Some(producer) = &mut self.producer {
            match producer.abort() {
                Ok(()) | Err(TransportError::Fenced(_)) => {}
                // It has no end marker and never gets a committing one: the next start or the time-out aborts it.
                Err(error) => tracing::warn!(target: "kafka", %error, "aborting because partitions go"),
            }
        }
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
    pub(super) fn failed_poll(&mut self, error: &KafkaError) -> Result<()> {
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
            Meaning::Transient | Meaning::StaleGroup | Meaning::Passing => {
                tracing::debug!(target: "kafka", %error, "poll");
                Ok(())
            }
            Meaning::Damaged => Err(damaged("one of the inputs", error)),
            Meaning::Other => Err(describe("reading", error, self.group.explanation())),
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
}
