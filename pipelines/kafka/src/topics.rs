//! Topics: creating them with settings that keep our promises, and asking about them.

use std::time::{Duration, Instant};

use millstream_transports::{Committed, Result, Retention, TopicSpec, TransportError};
use rdkafka::Offset;
use rdkafka::admin::{NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::admin;
use crate::config::KafkaConfig;
use crate::errors::describe;
use crate::events::{ErrorLog, Quiet};
use crate::group::{GroupConsumer, GroupEvents, list_of};
use crate::hanging::OVERDUE;
use crate::native;

/// How long one request may take.
pub(crate) const REQUEST: Duration = Duration::from_secs(10);
/// How long a fresh topic may take until every partition has a leader.
const CREATED: Duration = Duration::from_secs(30);
/// A committed offset may be held back by a transaction until that times out (10 s at most) and its end is written.
const STABLE: Duration = Duration::from_secs(10 + OVERDUE.as_secs());
/// What else may be behind a committed offset that cannot be had: to librdkafka that is a request without an answer.
const PERHAPS_HANGING: &str = "; if the brokers are up, a transaction may hang: docs/operate/hanging-transaction.md";

/// A consumer with its background errors at hand.
pub(crate) trait Inquirer {
    type Events: ConsumerContext;
    fn consumer(&self) -> &BaseConsumer<Self::Events>;
    fn errors(&self) -> &ErrorLog;

    /// What explains a failure best: the call itself often only times out.
    fn explanation(&self) -> Option<String> {
        // Without partitions there are no records to lose, and polling serves what came in the background. One with partitions is
        // polled anyway.
        if self.consumer().assignment().is_ok_and(|owned| owned.count() == 0)
            && self.consumer().subscription().is_ok_and(|topics| topics.count() == 0)
        {
            while let Some(event) = self.consumer().poll(Duration::from_millis(1)) {
                drop(event);
            }
        }
        self.errors().explanation()
    }
}

impl Inquirer for GroupConsumer {
    type Events = GroupEvents;
    fn consumer(&self) -> &BaseConsumer<GroupEvents> {
        &self.consumer
    }
    fn errors(&self) -> &ErrorLog {
        &self.consumer.context().errors
    }
}

impl Inquirer for BaseConsumer<Quiet> {
    type Events = Quiet;
    fn consumer(&self) -> &BaseConsumer<Quiet> {
        self
    }
    fn errors(&self) -> &ErrorLog {
        &self.context().errors
    }
}

/// Partitions of a topic.
pub(crate) fn partition_count<I: Inquirer>(from: &I, topic: &str) -> Result<u32> {
    let metadata = from
        .consumer()
        .fetch_metadata(Some(topic), REQUEST)
        .map_err(|error| describe(&format!("asking about topic {topic}"), &error, from.explanation()))?;
    let unknown = || TransportError::UnknownTopic(topic.to_owned());
    let found = metadata.topics().iter().find(|found| found.name() == topic).ok_or_else(unknown)?;
    if let Some(error) = found.error() {
        let code = Code::from(error);
        return Err(match code {
            Code::UnknownTopicOrPartition | Code::UnknownTopic => unknown(),
            code => describe(&format!("asking about topic {topic}"), &KafkaError::MetadataFetch(code), None),
        });
    }
    match u32::try_from(found.partitions().len()) {
        Ok(0) | Err(_) => Err(unknown()),
        Ok(count) => Ok(count),
    }
}

/// The id that the cluster gave to the topic when it was made. A cluster that gives none (before Kafka 2.8) gives zeros, which are the
/// same for every topic: then the name stands for it.
pub(crate) fn topic_id<I: Inquirer>(from: &I, topic: &str) -> Result<String> {
    match native::topic_id(from.consumer().client(), topic, REQUEST) {
        Ok(id) if id.bytes().all(|byte| matches!(byte, b'A' | b'=')) => Ok(topic.to_owned()),
        Ok(id) => Ok(id),
        Err(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => {
            Err(TransportError::UnknownTopic(topic.to_owned()))
        }
        Err(code) => {
            let error = KafkaError::AdminOp(code);
            Err(describe(&format!("asking for the id of topic {topic}"), &error, from.explanation()))
        }
    }
}

/// The earliest offset and the last stable one (the consumer reads committed records, and watermarks follow that).
///
/// Right after a topic is made or a broker restarts, what the cluster says of leaders is ahead of the leaders themselves; that passes
/// within moments, so it is asked again.
pub(crate) fn watermarks<I: Inquirer>(from: &I, topic: &str, partition: i32) -> Result<(u64, u64)> {
    let deadline = Instant::now() + REQUEST;
    loop {
        match from.consumer().fetch_watermarks(topic, partition, REQUEST) {
            Ok((low, high)) => return Ok((u64::try_from(low).unwrap_or(0), u64::try_from(high).unwrap_or(0))),
            Err(error) => {
                let passes = matches!(
                    error.rdkafka_error_code(),
                    Some(Code::NotLeaderForPartition | Code::LeaderNotAvailable | Code::ReplicaNotAvailable)
                );
                if !passes || Instant::now() >= deadline {
                    let doing = format!("asking for the ends of {topic}[{partition}]");
                    return Err(describe(&doing, &error, from.explanation()));
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// The group's committed position, waiting while a transaction is pending on it.
pub(crate) fn committed<I: Inquirer>(from: &I, topic: &str, partition: i32) -> Result<Option<Committed>> {
    let doing = || format!("asking for the committed offset of {topic}[{partition}]");
    let deadline = Instant::now() + STABLE;
    loop {
        let failed = |error: &KafkaError| {
            let held = matches!(
                error.rdkafka_error_code(),
                Some(Code::UnstableOffsetCommit | Code::OperationTimedOut | Code::RequestTimedOut)
            );
            match describe(&doing(), error, from.explanation()) {
                TransportError::Unavailable(why) if held => TransportError::Unavailable(why + PERHAPS_HANGING),
                other => other,
            }
        };
        let list = list_of(&[(topic.to_owned(), partition)], Offset::Invalid).map_err(|error| failed(&error))?;
        let answer = from.consumer().committed_offsets(list, REQUEST).and_then(|list| {
            let elements = list.elements();
            match elements.first() {
                Some(element) => element.error().map(|()| (element.offset(), native::offset_metadata(&list, 0))),
                None => Err(KafkaError::OffsetFetch(Code::UnknownTopicOrPartition)),
            }
        });
        match answer {
            Ok((Offset::Offset(offset), metadata)) => {
                return Ok(Some(Committed { offset: u64::try_from(offset).unwrap_or(0), metadata }));
            }
            Ok(_) => return Ok(None),
            Err(error) => {
                let worth_it = matches!(
                    error.rdkafka_error_code(),
                    Some(
                        Code::UnstableOffsetCommit
                            | Code::StaleMemberEpoch
                            | Code::CoordinatorLoadInProgress
                            | Code::NotCoordinator
                            | Code::CoordinatorNotAvailable
                            | Code::OperationTimedOut
                    )
                );
                if !worth_it || Instant::now() >= deadline {
                    return Err(failed(&error));
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// A topic's settings, by our rules.
pub(crate) fn topic_settings(config: &KafkaConfig, retention: Retention) -> Vec<(&'static str, String)> {
    const HOUR_MS: i64 = 3_600_000;
    let any_time = i64::MAX.to_string();
    let mut settings = vec![
        // Records carry the time of what they tell, which may be years ago (history) or wrong (clients' clocks); judging it is our
        // task. A refused batch would take the good records with it.
        ("message.timestamp.type", "CreateTime".to_owned()),
        ("message.timestamp.before.max.ms", any_time.clone()),
        ("message.timestamp.after.max.ms", any_time),
        ("min.insync.replicas", config.min_insync().to_string()),
        ("unclean.leader.election.enable", "false".to_owned()),
    ];
    match retention {
        Retention::TimeMs(ms) => {
            settings.push(("cleanup.policy", "delete".to_owned()));
            settings.push(("retention.ms", ms.max(0).to_string()));
            settings.push(("retention.bytes", "-1".to_owned()));
            // Only closed segments are deleted: let them close often enough that the limit is kept to about a tenth.
            settings.push(("segment.ms", (ms / 10).clamp(HOUR_MS, 7 * 24 * HOUR_MS).to_string()));
        }
        Retention::Forever => {
            settings.push(("cleanup.policy", "delete".to_owned()));
            settings.push(("retention.ms", "-1".to_owned()));
            settings.push(("retention.bytes", "-1".to_owned()));
        }
        Retention::Compact => settings.push(("cleanup.policy", "compact".to_owned())),
    }
    settings
}

/// Creates what is missing and waits until it can be used.
pub(crate) fn ensure<I: Inquirer>(config: &KafkaConfig, from: &I, specs: &[TopicSpec]) -> Result<()> {
    let mut missing = Vec::new();
    for spec in specs {
        if spec.partitions == 0 {
            return Err(TransportError::Other(format!("topic {} is configured with no partition", spec.name)));
        }
        match partition_count(from, &spec.name) {
            Ok(found) => same_count(spec, found)?,
            Err(TransportError::UnknownTopic(_)) => missing.push(spec),
            Err(error) => return Err(error),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    create(config, &missing)?;
    for spec in missing {
        same_count(spec, usable(from, spec)?)?;
    }
    Ok(())
}

fn same_count(spec: &TopicSpec, found: u32) -> Result<()> {
    if found == spec.partitions {
        return Ok(());
    }
    Err(TransportError::PartitionCount { topic: spec.name.clone(), found, wanted: spec.partitions })
}

fn create(config: &KafkaConfig, missing: &[&TopicSpec]) -> Result<()> {
    let settings: Vec<_> = missing.iter().map(|spec| topic_settings(config, spec.retention)).collect();
    let new: Vec<NewTopic<'_>> = missing
        .iter()
        .zip(&settings)
        .map(|(spec, settings)| {
            let partitions = i32::try_from(spec.partitions).unwrap_or(i32::MAX);
            let topic = NewTopic::new(&spec.name, partitions, TopicReplication::Fixed(i32::from(config.replication())));
            settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
        })
        .collect();
    let client = admin::client(config)?;
    let results = admin::wait(client.create_topics(&new, &admin::options()))
        .map_err(|error| describe("creating topics", &error, client.inner().context().errors.explanation()))?;
    for result in results {
        match result {
            // Somebody was faster; its partition count is compared next.
            Ok(_) | Err((_, Code::TopicAlreadyExists)) => {}
            Err((topic, Code::InvalidReplicationFactor)) => {
                return Err(TransportError::Other(format!(
                    "creating topic {topic}: {} replicas are more than the cluster has brokers; set `replication`, or `development` for a single broker",
                    config.replication()
                )));
            }
            Err((topic, code)) => {
                return Err(describe(&format!("creating topic {topic}"), &KafkaError::AdminOp(code), None));
            }
        }
    }
    Ok(())
}

/// Waits until every partition has a leader.
fn usable<I: Inquirer>(from: &I, spec: &TopicSpec) -> Result<u32> {
    let deadline = Instant::now() + CREATED;
    loop {
        let metadata = from.consumer().fetch_metadata(Some(&spec.name), REQUEST);
        let topic =
            metadata.as_ref().ok().and_then(|metadata| metadata.topics().iter().find(|t| t.name() == spec.name));
        if let Some(topic) = topic.filter(|topic| topic.error().is_none()) {
            let all = topic.partitions();
            let led = all.iter().filter(|partition| partition.leader() >= 0 && partition.error().is_none()).count();
            if led > 0 && led == all.len() {
                return Ok(u32::try_from(led).unwrap_or(u32::MAX));
            }
        }
        if Instant::now() >= deadline {
            return Err(TransportError::Unavailable(format!(
                "topic {} was created, but its partitions have no leader yet",
                spec.name
            )));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(settings: &[(&'static str, String)], key: &str) -> Option<String> {
        settings.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone())
    }

    #[test]
    fn history_is_neither_refused_nor_deleted_early() {
        let config = KafkaConfig::new("broker:9092");
        let month = topic_settings(&config, Retention::TimeMs(30 * 86_400_000));
        assert_eq!(value(&month, "retention.ms").as_deref(), Some("2592000000"));
        assert_eq!(value(&month, "segment.ms").as_deref(), Some("259200000"));
        assert_eq!(value(&month, "message.timestamp.before.max.ms"), Some(i64::MAX.to_string()));
        assert_eq!(value(&month, "min.insync.replicas").as_deref(), Some("2"));
        let forever = topic_settings(&config, Retention::Forever);
        assert_eq!(value(&forever, "retention.ms").as_deref(), Some("-1"));
        assert_eq!(value(&forever, "retention.bytes").as_deref(), Some("-1"));
        assert_eq!(value(&topic_settings(&config, Retention::Compact), "cleanup.policy").as_deref(), Some("compact"));
    }
}
