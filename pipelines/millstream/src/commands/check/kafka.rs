//! What `millstream check` looks at in Kafka.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_deliver::delivered_records;
use millstream_kafka::KafkaTransport;
use millstream_transports::{Transport, TransportError};

use crate::config::Config;
use crate::control::TASK_INPUTS;
use crate::progress::tell;
use crate::services::STAGES;
use crate::{delivery, log, registry, topology};

/// Whether the cluster can be reached, and its settings keep our promises.
pub fn settings(config: &Config) -> Result<Vec<String>, String> {
    let transport = log::kafka_transport(config).map_err(|failure| failure.to_string())?;
    let report = transport.check(&topology::all(config)).map_err(|error| error.to_string())?;
    if let Ok(ids) = registry::register(&config.registry.url, &config.namespace)
        // A namespace without topics yet is not closed.
        && let Ok(Some(closed)) = millstream_replay::closing::closed_by(&transport, &ids, &config.namespace)
    {
        return Err(format!(
            "namespace {:?} was handed over to {:?}: no process with a collector starts in it",
            config.namespace, closed.successor
        ));
    }
    Ok(report.warnings.iter().map(ToString::to_string).collect())
}

/// Whether a transaction hangs in a topic of ours, or holds an offset of ours back.
pub fn transactions(config: &Config) -> Result<Vec<String>, String> {
    let transport = log::kafka_transport(config).map_err(|failure| failure.to_string())?;
    let mut partitions = BTreeMap::new();
    for spec in topology::all(config) {
        match transport.partition_count(&spec.name) {
            Ok(count) => drop(partitions.insert(spec.name, count)),
            // Told of with the settings.
            Err(TransportError::UnknownTopic(_)) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    let topics: Vec<String> = partitions.keys().cloned().collect();
    let waiting = |longest: Duration| {
        tell(&format!("transactions: some are open; waiting up to {} s for their ends", longest.as_secs()));
    };
    let hanging = transport.hanging_transactions(&topics, &waiting).map_err(|error| error.to_string())?;
    let mut wrong: Vec<String> = hanging.iter().map(ToString::to_string).collect();
    let mut warnings = Vec::new();
    for (group, topics) in groups(config) {
        match stands(&transport, &partitions, &group, &topics) {
            Ok(()) => {}
            Err(TransportError::Unavailable(why)) => wrong.push(format!("group {group}: {why}")),
            // A user of its own for each service may see the offsets of no other.
            Err(error) => warnings.push(format!("not checked: group {group}: {error}")),
        }
    }
    if wrong.is_empty() {
        Ok(warnings)
    } else {
        Err(format!("{}; see docs/operate/hanging-transaction.md", wrong.join("; ")))
    }
}

/// Groups whose offsets are committed in transactions, with what they read.
fn groups(config: &Config) -> Vec<(String, Vec<String>)> {
    let stages = STAGES.into_iter().zip(TASK_INPUTS);
    let stages = stages.map(|(stage, input)| (topology::name(config, stage), vec![topology::name(config, input)]));
    let delivered = delivered_records().map(|(schema, _)| topology::name(config, schema.topic)).collect();
    stages.chain([(delivery::group(config, delivery::sink(config)), delivered)]).collect()
}

/// Whether a group's offsets can be had.
fn stands(
    transport: &KafkaTransport,
    partitions: &BTreeMap<String, u32>,
    group: &str,
    topics: &[String],
) -> Result<(), TransportError> {
    for topic in topics {
        for partition in 0..partitions.get(topic).copied().unwrap_or(0) {
            transport.committed(group, topic, partition)?;
        }
    }
    Ok(())
}
