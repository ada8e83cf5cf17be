//! The librdkafka properties of each kind of client, with the reason for each.

use std::time::Duration;

use millstream_transports::TransportError;
use rdkafka::ClientConfig;

use crate::config::{GroupProtocol, KafkaConfig};

/// Bytes of one answer to a fetch.
const FETCH_BYTES: usize = 4 << 20;

/// A consumer that reads committed records and joins nothing by itself.
pub(crate) fn consumer(config: &KafkaConfig, group: &str) -> Result<ClientConfig, TransportError> {
    let mut client = config.base()?;
    client
        .set("group.id", group)
        // Offsets are committed with the outputs, never behind our back.
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // Reads stop at the last stable offset; and librdkafka then also asks for stable committed offsets.
        .set("isolation.level", "read_committed")
        // An offset that is gone is an error with a name, never a silent jump.
        .set("auto.offset.reset", "error")
        .set("allow.auto.create.topics", "false");
    for (key, value) in [
        // A full local queue pauses fetching for a second by default: a stall in the middle of a catch-up.
        ("fetch.queue.backoff.ms", "5"),
        ("fetch.error.backoff.ms", "50"),
        // A partition that was just sought or resumed waits for the fetch under way: keep that short.
        ("fetch.wait.max.ms", "50"),
        // Records that are to wait at all times, 100,000 by default: with small ones that is all that the bytes below allow, and the
        // client keeps a few hundred bytes of its own beside each.
        ("queued.min.messages", "10000"),
    ] {
        config.set_default(&mut client, key, value);
    }
    let kbytes = config.fetch_queue_kbytes.to_string();
    config.set_default(&mut client, "queued.max.messages.kbytes", &kbytes);
    // One answer of a broker comes on top of what is queued: 50 MB by default. The largest record still passes.
    config.set_default(&mut client, "fetch.max.bytes", &FETCH_BYTES.max(max_record_bytes(config) + 4_096).to_string());
    match config.group_protocol {
        GroupProtocol::Classic => {
            client.set("group.protocol", "classic").set("session.timeout.ms", config.session_timeout_ms.to_string());
            let heartbeat_ms = (config.session_timeout_ms / 3).clamp(1, 3_000).to_string();
            config.set_default(&mut client, "heartbeat.interval.ms", &heartbeat_ms);
        }
        // Session and heartbeat are the broker's.
        GroupProtocol::Consumer => {
            client.set("group.protocol", "consumer");
        }
    }
    Ok(client)
}

/// A consumer that joins a group under a static id.
///
/// Assignor `range`: with it, members that subscribe to the same topics get the same partition numbers of all topics that have the
/// same count, and a task needs all its inputs on one member. `cooperative-sticky` balances each partition for itself and would
/// tear them apart. With the classic protocol range is eager, so every rebalance revokes all; static ids keep those rare. With the
/// consumer protocol the broker's range assignor does the same incrementally.
pub(crate) fn group_member(
    config: &KafkaConfig,
    group: &str,
    instance_id: &str,
) -> Result<ClientConfig, TransportError> {
    let mut client = consumer(config, group)?;
    client.set("group.instance.id", instance_id);
    match config.group_protocol {
        GroupProtocol::Classic => client.set("partition.assignment.strategy", "range"),
        GroupProtocol::Consumer => client.set("group.remote.assignor", "range"),
    };
    Ok(client)
}

fn producer(config: &KafkaConfig) -> Result<ClientConfig, TransportError> {
    let mut client = config.base()?;
    client.set("enable.idempotence", "true").set("acks", "all");
    for (key, value) in [
        ("compression.codec", "lz4"),
        // The transport bounds the queue in bytes itself; this only stops librdkafka from counting records first.
        ("queue.buffering.max.messages", "1000000"),
        ("retry.backoff.ms", "10"),
    ] {
        config.set_default(&mut client, key, value);
    }
    Ok(client)
}

/// A transactional producer.
pub(crate) fn transactional(config: &KafkaConfig, transactional_id: &str) -> Result<ClientConfig, TransportError> {
    let mut client = producer(config)?;
    client
        .set("transactional.id", transactional_id)
        .set("transaction.timeout.ms", config.transaction_timeout_ms.to_string())
        // librdkafka wants a request to end before the transaction does.
        .set("socket.timeout.ms", config.transaction_timeout_ms.to_string())
        .set("message.timeout.ms", config.transaction_timeout_ms.to_string())
        // Successful deliveries need no event of their own: the commit tells. It also frees flushing from waiting for polls.
        .set("delivery.report.only.error", "true");
    for (key, value) in [
        // A commit flushes at once; the linger only fills batches in between.
        ("linger.ms", "5"),
        ("queue.buffering.max.kbytes", "65536"),
    ] {
        config.set_default(&mut client, key, value);
    }
    Ok(client)
}

/// The producer of acknowledged appends.
pub(crate) fn appender(config: &KafkaConfig) -> Result<ClientConfig, TransportError> {
    let mut client = producer(config)?;
    // Twice our own bound, so that ours, which refuses whole units, is always met first.
    let kbytes = (config.append_queue_bytes / 1024 * 2).clamp(1024, i32::MAX as usize).to_string();
    client.set("queue.buffering.max.kbytes", kbytes);
    for (key, value) in [("linger.ms", "2"), ("message.timeout.ms", "30000")] {
        config.set_default(&mut client, key, value);
    }
    Ok(client)
}

/// The largest record that the producers accept, in bytes of key and value.
pub(crate) fn max_record_bytes(config: &KafkaConfig) -> usize {
    // librdkafka's default, which leaves room for headers under the broker's default of 1,048,588.
    const DEFAULT: usize = 1_000_000;
    // What a record adds to its key and value at most.
    const FRAMING: usize = 512;
    let limit = config.extra.get("message.max.bytes").and_then(|value| value.parse().ok()).unwrap_or(DEFAULT);
    limit.saturating_sub(FRAMING)
}

/// A member that does not poll for this long leaves its group.
pub(crate) fn max_poll_interval(config: &KafkaConfig) -> Duration {
    // librdkafka's default.
    const DEFAULT_MS: u64 = 300_000;
    let configured = config.extra.get("max.poll.interval.ms").and_then(|value| value.parse().ok());
    Duration::from_millis(configured.unwrap_or(DEFAULT_MS))
}
