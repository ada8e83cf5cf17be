//! A consumer in a group. Rebalances are only noted when librdkafka announces them; the member takes the next step itself, after it
//! has aborted what was open.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use millstream_transports::Result;
use parking_lot::Mutex;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::KafkaResult;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use crate::errors::describe;
use crate::events::{ErrorLog, keeps_errors};

/// A rebalance step that waits for us.
#[derive(Debug)]
pub(crate) enum Rebalance {
    /// These partitions (topic, partition) are ours from now on.
    Assign(Vec<(String, i32)>),
    /// These go; with `lost` they are gone already.
    Revoke { partitions: Vec<(String, i32)>, lost: bool },
}

/// The consumer's callbacks.
#[derive(Debug, Default)]
pub(crate) struct GroupEvents {
    pub(crate) errors: ErrorLog,
    waiting: Mutex<VecDeque<Rebalance>>,
    closing: AtomicBool,
}

keeps_errors!(GroupEvents);

impl ConsumerContext for GroupEvents {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, error: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let assign = error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.closing.load(Ordering::Acquire) {
            // Nobody polls for the note any more, and the close waits until the step is taken.
            let step = if assign { add(consumer, &TopicPartitionList::new()) } else { remove(consumer, list) };
            if let Err(error) = step {
                tracing::debug!(target: "kafka", %error, "rebalance while closing");
            }
            return;
        }
        let partitions =
            list.elements().iter().map(|element| (element.topic().to_owned(), element.partition())).collect();
        let step = if assign {
            Rebalance::Assign(partitions)
        } else {
            Rebalance::Revoke { partitions, lost: consumer.assignment_lost() }
        };
        tracing::info!(target: "kafka", ?step, "rebalance");
        self.waiting.lock().push_back(step);
    }
}

fn cooperative(consumer: &BaseConsumer<GroupEvents>) -> bool {
    matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative)
}

fn add(consumer: &BaseConsumer<GroupEvents>, list: &TopicPartitionList) -> KafkaResult<()> {
    if cooperative(consumer) { consumer.incremental_assign(list) } else { consumer.assign(list) }
}

fn remove(consumer: &BaseConsumer<GroupEvents>, list: &TopicPartitionList) -> KafkaResult<()> {
    if cooperative(consumer) { consumer.incremental_unassign(list) } else { consumer.unassign() }
}

/// A list of partitions for librdkafka, each at `offset`.
pub(crate) fn list_of(partitions: &[(String, i32)], offset: Offset) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for (topic, partition) in partitions {
        list.add_partition_offset(topic, *partition, offset)?;
    }
    Ok(list)
}

/// A consumer that has joined its group.
pub(crate) struct GroupConsumer {
    pub(crate) consumer: BaseConsumer<GroupEvents>,
}

impl GroupConsumer {
    pub(crate) fn join(config: &ClientConfig, topics: &[String]) -> Result<Self> {
        let consumer: BaseConsumer<GroupEvents> = config
            .create_with_context(GroupEvents::default())
            .map_err(|error| describe("starting a consumer", &error, None))?;
        let joined = Self { consumer };
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        joined.consumer.subscribe(&names).map_err(|error| describe("subscribing", &error, None))?;
        Ok(joined)
    }

    /// The next rebalance step that waits for us.
    pub(crate) fn next_rebalance(&self) -> Option<Rebalance> {
        self.consumer.context().waiting.lock().pop_front()
    }

    pub(crate) fn has_rebalance(&self) -> bool {
        !self.consumer.context().waiting.lock().is_empty()
    }

    /// Takes the partitions over, paused: nothing is read before somebody says from where.
    pub(crate) fn take(&self, partitions: &[(String, i32)]) -> KafkaResult<()> {
        // An absolute offset, so that librdkafka does not ask for committed ones (it would wait for pending transactions).
        let list = list_of(partitions, Offset::Offset(0))?;
        add(&self.consumer, &list)?;
        if partitions.is_empty() { Ok(()) } else { self.consumer.pause(&list) }
    }

    /// Gives the partitions up, which lets the rebalance go on.
    pub(crate) fn release(&self, partitions: &[(String, i32)]) -> KafkaResult<()> {
        remove(&self.consumer, &list_of(partitions, Offset::Invalid)?)
    }

    pub(crate) fn explanation(&self) -> Option<String> {
        self.consumer.context().errors.explanation()
    }
}

impl Drop for GroupConsumer {
    fn drop(&mut self) {
        // Steps that wait for us would hold up the close for ever.
        self.consumer.context().closing.store(true, Ordering::Release);
        while let Some(step) = self.next_rebalance() {
            let taken = match step {
                Rebalance::Assign(_) => add(&self.consumer, &TopicPartitionList::new()),
                Rebalance::Revoke { partitions, .. } => self.release(&partitions),
            };
            if let Err(error) = taken {
                tracing::debug!(target: "kafka", %error, "rebalance while closing");
            }
        }
        if self.consumer.client().fatal_error().is_some() {
            // librdkafka does not close a consumer that has failed for good, and destroying it waits, spinning, for an answer to the
            // last rebalance: give it.
            while let Some(event) = self.consumer.poll(Duration::from_millis(1)) {
                drop(event);
            }
            if let Err(error) = self.consumer.unassign() {
                tracing::debug!(target: "kafka", %error, "giving everything up while closing");
            }
        }
    }
}
