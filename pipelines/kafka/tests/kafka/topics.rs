//! Topics as they must exist.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use millstream_kafka::KafkaConfig;
use millstream_transports::{MemberConfig, Retention, TopicSpec, Transport, TransportError};
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use crate::support::{transport, unique};

fn wait<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn admin(config: &KafkaConfig) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", &config.brokers).create().expect("an administrative client")
}

/// Deletes a partition's records below an offset, as retention would.
pub fn delete_before(config: &KafkaConfig, topic: &str, partition: i32, offset: i64) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset)).expect("an offset");
    let result = wait(admin(config).delete_records(&list, &AdminOptions::new())).expect("deleted");
    assert!(result.elements().iter().all(|element| element.error().is_ok()));
}

/// The high watermark.
pub fn end_of(config: &KafkaConfig, topic: &str, partition: i32) -> i64 {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", &config.brokers).create().expect("a consumer");
    consumer.fetch_watermarks(topic, partition, Duration::from_secs(10)).expect("watermarks").1
}

#[test]
fn topics_are_created_once_with_settings_that_keep_history() {
    let Some(kafka) = transport("topics_are_created_once_with_settings_that_keep_history") else { return };
    let spec = |stem: &str, retention| TopicSpec { name: unique(stem), partitions: 3, retention };
    let specs = [
        spec("month", Retention::TimeMs(30 * 86_400_000)),
        spec("ever", Retention::Forever),
        spec("latest", Retention::Compact),
    ];
    kafka.ensure_topics(&specs).expect("created");
    kafka.ensure_topics(&specs).expect("there already");
    for spec in &specs {
        assert_eq!(kafka.partition_count(&spec.name).expect("asked"), 3);
    }
    let client = admin(kafka.config());
    let names: Vec<_> = specs.iter().map(|spec| ResourceSpecifier::Topic(&spec.name)).collect();
    let found = wait(client.describe_configs(&names, &AdminOptions::new())).expect("described");
    let value = |index: usize, key: &str| {
        found[index].as_ref().expect("a topic").get(key).and_then(|entry| entry.value.clone()).unwrap_or_default()
    };
    assert_eq!(value(0, "retention.ms"), "2592000000");
    assert_eq!(value(1, "retention.ms"), "-1");
    assert_eq!(value(2, "cleanup.policy"), "compact");
    for index in 0..3 {
        assert_eq!(value(index, "message.timestamp.before.max.ms"), i64::MAX.to_string());
        assert_eq!(value(index, "message.timestamp.after.max.ms"), i64::MAX.to_string());
        assert_eq!(value(index, "message.timestamp.type"), "CreateTime");
    }
}

#[test]
fn a_changed_partition_count_is_refused() {
    let Some(kafka) = transport("a_changed_partition_count_is_refused") else { return };
    let spec = TopicSpec { name: unique("count"), partitions: 2, retention: Retention::Forever };
    kafka.ensure_topics(std::slice::from_ref(&spec)).expect("created");
    let error = kafka.ensure_topics(&[TopicSpec { partitions: 4, ..spec }]).expect_err("refused");
    assert!(matches!(error, TransportError::PartitionCount { found: 2, wanted: 4, .. }), "{error}");
}

#[test]
fn an_unknown_topic_is_named_and_not_created() {
    let Some(kafka) = transport("an_unknown_topic_is_named_and_not_created") else { return };
    let name = unique("nowhere");
    let is_named = |error: TransportError| {
        assert!(matches!(&error, TransportError::UnknownTopic(found) if *found == name), "{error}")
    };
    is_named(kafka.partition_count(&name).expect_err("unknown"));
    is_named(kafka.appender(vec![name.clone()]).err().expect("unknown"));
    is_named(kafka.transactions(&unique("t"), vec![name.clone()]).err().expect("unknown"));
    is_named(kafka.reader(&name, 0, 0).err().expect("unknown"));
    let config =
        MemberConfig { group: unique("g"), instance_id: "one".to_owned(), inputs: vec![name.clone()], outputs: vec![] };
    is_named(kafka.member(config).err().expect("unknown"));
    is_named(kafka.partition_count(&name).expect_err("still unknown"));
}

#[test]
fn a_topic_made_anew_has_another_id() {
    let Some(kafka) = transport("a_topic_made_anew_has_another_id") else { return };
    let spec = TopicSpec { name: unique("anew"), partitions: 1, retention: Retention::Forever };
    kafka.ensure_topics(std::slice::from_ref(&spec)).expect("created");
    let first = kafka.topic_id(&spec.name).expect("an id");
    assert_eq!(kafka.topic_id(&spec.name).expect("asked again"), first);
    assert!(first.len() >= 20 && first != spec.name, "{first}");
    wait(admin(kafka.config()).delete_topics(&[&spec.name], &AdminOptions::new())).expect("deleted");
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while !matches!(kafka.topic_id(&spec.name), Err(TransportError::UnknownTopic(_))) {
        assert!(std::time::Instant::now() < deadline, "it is still there");
        std::thread::sleep(Duration::from_millis(50));
    }
    kafka.ensure_topics(std::slice::from_ref(&spec)).expect("made anew");
    assert_ne!(kafka.topic_id(&spec.name).expect("another id"), first);
}
