//! Which topics there are, with how many partitions and for how long.

use millstream_schemas::topics::{Partitions, TOPICS, by_name};
use millstream_transports::{Retention, TopicSpec};

use crate::config::{Config, TransportKind};

const HOUR_MS: i64 = 3_600_000;
/// Topics whose records every new task and import must be able to read again.
const KEPT_FOREVER: [&str; 2] = ["control", "imports"];

/// A topic by its plain name, without the namespace's prefix.
pub fn spec(config: &Config, name: &str) -> TopicSpec {
    let topic = by_name(name);
    let one = topic.is_some_and(|topic| topic.partitions == Partitions::One);
    let retention = match i64::try_from(config.retention_hours) {
        // The embedded log does not compact: it keeps all within its retention, so that it does not grow for ever. Nobody but its own
        // process reads it.
        _ if topic.is_some_and(|topic| topic.compacted) && config.transport == TransportKind::Kafka => {
            Retention::Compact
        }
        Ok(hours) if hours > 0 && !KEPT_FOREVER.contains(&name) => Retention::TimeMs(hours.saturating_mul(HOUR_MS)),
        _ => Retention::Forever,
    };
    TopicSpec { name: name.to_owned(), partitions: if one { 1 } else { config.partitions }, retention }
}

/// All topics, with the namespace's prefix.
pub fn all(config: &Config) -> Vec<TopicSpec> {
    TOPICS
        .iter()
        .map(|topic| {
            let plain = spec(config, topic.name);
            TopicSpec { name: name(config, &plain.name), ..plain }
        })
        .collect()
}

/// A topic's full name.
pub fn name(config: &Config, topic: &str) -> String {
    format!("{}{topic}", config.namespace)
}
