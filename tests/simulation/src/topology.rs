//! The real stages and the topics of a simulated installation.

use std::sync::Arc;

use millstream_ingest::{IngestConfig, IngestFactory, IngestTopics};
use millstream_profile::{ProfileConfig, ProfileFactory, ProfileTopics};
use millstream_schemas::topics::{Partitions, TOPICS, by_name};
use millstream_schemas::{Collected, Control, Event, Identity, Ledger, Rejected, Tick};
use millstream_transports::memory::MemoryLog;
use millstream_transports::{Append, CommitOutcome, Result, Retention, TopicSpec, Transport, TransportError};

use crate::plan::{Plan, SITE, START_MS};

/// Partitions of a topic.
pub fn partitions_of(plan: &Plan, topic: &str) -> u32 {
    match by_name(topic).map(|topic| topic.partitions) {
        Some(Partitions::Ingest | Partitions::Profile) => plan.partitions,
        Some(Partitions::One) | None => 1,
    }
}

/// Every partition of every topic.
pub fn all_partitions(plan: &Plan) -> Vec<(&'static str, u32)> {
    TOPICS
        .iter()
        .flat_map(|topic| (0..partitions_of(plan, topic.name)).map(|partition| (topic.name, partition)))
        .collect()
}

fn spec(plan: &Plan, name: &str) -> TopicSpec {
    TopicSpec { name: name.to_owned(), partitions: partitions_of(plan, name), retention: Retention::Forever }
}

/// The ingest stage.
pub fn ingest(plan: &Plan) -> Arc<IngestFactory> {
    Arc::new(IngestFactory::new(IngestConfig::new(IngestTopics {
        collected: spec(plan, Collected::TOPIC),
        events: spec(plan, Event::TOPIC),
        rejected: spec(plan, Rejected::TOPIC),
        identity: spec(plan, Identity::TOPIC),
        ledger: spec(plan, Ledger::TOPIC),
    })))
}

/// The profile stage.
pub fn profile(plan: &Plan) -> Arc<ProfileFactory> {
    Arc::new(ProfileFactory::new(ProfileConfig::new(ProfileTopics::of(|name| spec(plan, name)))))
}

/// The control record of the shop's settings.
pub fn settings_record(plan: &Plan) -> Vec<u8> {
    let mut value = Vec::new();
    let control = Control { number: 1, kind: "site_config", site: SITE, effective_at: START_MS, body: plan.settings };
    control.encode_framed(Control::ID, &mut value);
    value
}

/// Makes the topics and puts the shop's settings into every partition of every task's input, in one transaction.
///
/// # Errors
/// Where the log refuses.
pub fn found(log: &MemoryLog, plan: &Plan) -> Result<()> {
    let topics: Vec<TopicSpec> = TOPICS.iter().map(|topic| spec(plan, topic.name)).collect();
    log.ensure_topics(&topics)?;
    let inputs = [Collected::TOPIC, Event::TOPIC];
    let mut transaction = log.transactions("control", inputs.iter().map(|topic| (*topic).to_owned()).collect())?;
    let value = settings_record(plan);
    for (topic, name) in (0u16..).zip(inputs) {
        for partition in 0..partitions_of(plan, name) {
            let key = SITE.as_bytes();
            transaction.send(Append { topic, partition, timestamp_ms: START_MS, key, value: &value })?;
        }
    }
    match transaction.commit() {
        CommitOutcome::Committed => Ok(()),
        other => Err(TransportError::Other(format!("settings: {other:?}"))),
    }
}

/// A record that says how late it is.
pub fn tick_record(time_ms: i64) -> Vec<u8> {
    let mut value = Vec::new();
    Tick { origin: "live", time: time_ms }.encode_framed(Tick::ID, &mut value);
    value
}
