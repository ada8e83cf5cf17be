//! Reads committed records of the output topics into the views.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use millstream_runtime::Clock;
use millstream_schemas::{SchemaIds, by_name};
use millstream_transports::{Batch, Change, Member, MemberConfig, TopicPartition, Transport, TransportError};

use crate::live::{Live, Taken};
use crate::metrics::ServeMetrics;

/// Records that the views are made of.
const RECORDS: [&str; 6] = ["event", "session", "propensity", "profile", "order", "attribution"];
/// Of these records only what comes now says something: they are counted, by the second, and no view keeps them.
const NEWEST_ONLY: &str = "event";
/// Offsets of each of their partitions that a start reads at most; what is older is left out.
pub(crate) const READ_BACK: u64 = 10_000;
/// How long a poll waits for records.
const POLL: Duration = Duration::from_millis(50);
/// How often topics that are not there are looked for.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// How long to wait after the log could not be reached.
const RETRY: Duration = Duration::from_secs(1);

/// Where the consumer reads.
#[derive(Debug, Clone)]
pub struct ConsumerConfig {
    /// Prefix of topics and group, such as `staging.`; empty for none.
    pub namespace: String,
    /// This process's name: two of one name would take each other's partitions.
    pub instance: String,
    /// Schema ids on the wire.
    pub schema_ids: SchemaIds,
}

/// Why the views are no longer kept.
#[derive(Debug, thiserror::Error)]
#[error("live reads: {0}")]
pub struct ConsumeError(#[from] TransportError);

/// Keeps [`Live`] up to date. A group of its own reads every partition from the earliest record left, and commits nothing.
pub struct Consumer {
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    config: ConsumerConfig,
    live: Arc<Live>,
    metrics: ServeMetrics,
}

/// One membership: it ends when topics appear or the log was out of reach.
struct Reading {
    member: Box<dyn Member>,
    topics: Vec<String>,
    owned: Vec<TopicPartition>,
    /// The topic of which only the newest records are read.
    newest_only: Option<u16>,
    /// The next offset of each partition.
    positions: HashMap<TopicPartition, u64>,
}

impl Consumer {
    /// A consumer that has not begun.
    pub fn new(
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        config: ConsumerConfig,
        live: Arc<Live>,
        metrics: ServeMetrics,
    ) -> Self {
        Self { transport, clock, config, live, metrics }
    }

    /// Reads until `stop` is set, then ends every open stream.
    ///
    /// # Errors
    /// Where the log cannot be read for good.
    pub fn run(&self, stop: &AtomicBool) -> Result<(), ConsumeError> {
        let result = self.read(stop);
        self.live.close();
        result
    }

    fn read(&self, stop: &AtomicBool) -> Result<(), ConsumeError> {
        while !stop.load(Ordering::Acquire) {
            let ended = match self.begin()? {
                Some(mut reading) => {
                    let ended = self.follow(&mut reading, stop);
                    let left = reading.member.close();
                    ended.and(left)
                }
                None => Ok(()),
            };
            match ended {
                Ok(()) => {}
                // Everything is read again; what was applied already changes nothing.
                Err(
                    error @ (TransportError::Unavailable(_)
                    | TransportError::Fenced(_)
                    | TransportError::OffsetOutOfRange { .. }),
                ) => tracing::warn!(%error, "live reads begin anew"),
                Err(error) => return Err(error.into()),
            }
            self.live.set_caught_up(false);
            self.pause(RETRY, stop);
        }
        Ok(())
    }

    /// Topics that are there, with their prefix.
    fn topics(&self) -> Result<Vec<String>, TransportError> {
        let mut topics = Vec::new();
        for record in RECORDS {
            let Some(schema) = by_name(record) else { continue };
            let topic = format!("{}{}", self.config.namespace, schema.topic);
            match self.transport.partition_count(&topic) {
                Ok(_) => topics.push(topic),
                Err(TransportError::UnknownTopic(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(topics)
    }

    fn begin(&self) -> Result<Option<Reading>, TransportError> {
        let topics = match self.topics() {
            Ok(topics) => topics,
            Err(error @ TransportError::Unavailable(_)) => {
                tracing::warn!(%error, "live reads wait for the log");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if topics.is_empty() {
            return Ok(None);
        }
        let member = self.transport.member(MemberConfig {
            group: format!("{}serve-{}", self.config.namespace, self.config.instance),
            instance_id: self.config.instance.clone(),
            inputs: topics.clone(),
            outputs: Vec::new(),
        });
        let member = match member {
            Ok(member) => member,
            Err(error @ (TransportError::Unavailable(_) | TransportError::Fenced(_))) => {
                tracing::warn!(%error, "live reads wait for the log");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let newest_only = by_name(NEWEST_ONLY).map(|schema| format!("{}{}", self.config.namespace, schema.topic));
        let newest_only = topics.iter().position(|topic| Some(topic) == newest_only.as_ref());
        let newest_only = newest_only.and_then(|index| u16::try_from(index).ok());
        Ok(Some(Reading { member, topics, owned: Vec::new(), newest_only, positions: HashMap::new() }))
    }

    fn follow(&self, reading: &mut Reading, stop: &AtomicBool) -> Result<(), TransportError> {
        let mut batch = Batch::new();
        let mut changes = Vec::new();
        let mut look_at = self.clock.monotonic() + LOOK_AGAIN;
        let mut behind = true;
        while !stop.load(Ordering::Acquire) {
            changes.clear();
            reading.member.poll(POLL, &mut batch, &mut changes)?;
            for change in &changes {
                reading.take(change)?;
            }
            for record in batch.iter() {
                let at = TopicPartition { topic: record.topic, partition: record.partition };
                reading.positions.insert(at, record.offset + 1);
                let taken = self.live.take(record.value, &self.config.schema_ids);
                self.metrics.records.with_label_values(&[name(taken)]).inc();
            }
            if behind && !reading.owned.is_empty() && reading.at_end()? {
                behind = false;
                self.live.set_caught_up(true);
                self.live.changed();
            }
            if !batch.is_empty() {
                self.live.changed();
            }
            if reading.topics.len() < RECORDS.len() && self.clock.monotonic() >= look_at {
                look_at = self.clock.monotonic() + LOOK_AGAIN;
                if self.topics()?.len() > reading.topics.len() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn pause(&self, time: Duration, stop: &AtomicBool) {
        let until = self.clock.monotonic() + time;
        while self.clock.monotonic() < until && !stop.load(Ordering::Acquire) {
            std::thread::sleep(POLL);
        }
    }
}

impl Reading {
    fn take(&mut self, change: &Change) -> Result<(), TransportError> {
        match change {
            Change::Assigned(partitions) => {
                for &partition in partitions {
                    self.member.seek(partition, self.positions.get(&partition).copied().unwrap_or(0))?;
                    if !self.positions.contains_key(&partition) && Some(partition.topic) == self.newest_only {
                        self.skip_old(partition)?;
                    }
                    self.owned.push(partition);
                }
            }
            Change::Revoked { partitions, .. } => self.owned.retain(|owned| !partitions.contains(owned)),
        }
        Ok(())
    }

    /// Of a long partition only the end is read.
    fn skip_old(&mut self, partition: TopicPartition) -> Result<(), TransportError> {
        let Some(backlog) = self.member.backlog(partition)?.filter(|backlog| *backlog > READ_BACK) else {
            return Ok(());
        };
        let from = self.member.earliest(partition)? + backlog - READ_BACK;
        tracing::info!(partition = partition.partition, from, "live reads begin near the end of the events");
        self.member.seek(partition, from)
    }

    fn at_end(&mut self) -> Result<bool, TransportError> {
        for &partition in &self.owned {
            if !self.member.at_end(partition)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn name(taken: Taken) -> &'static str {
    match taken {
        Taken::Applied => "applied",
        Taken::OtherSite => "other_site",
        Taken::Unknown => "unknown",
        Taken::TooLong => "too_long",
        Taken::Unreadable => "unreadable",
    }
}
