//! What `millstream check` looks at in Kafka.

use millstream_deliver::delivered_records;
use millstream_transports::Transport;

use crate::config::{Config, WarehouseKind};
use crate::control::TASK_INPUTS;
use crate::services::STAGES;
use crate::{log, registry, topology};

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
    // Topics that are missing are told of with the settings.
    let there = |topic: &String| transport.partition_count(topic).is_ok();
    let topics: Vec<String> = topology::all(config).into_iter().map(|spec| spec.name).filter(there).collect();
    let found = transport.hanging_transactions(&topics).map_err(|error| error.to_string())?;
    if !found.is_empty() {
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        return Err(format!("{}; see docs/operate/hanging-transaction.md", found.join("; ")));
    }
    let deliver = match config.warehouse {
        WarehouseKind::Embedded => "deliver-parquet",
        WarehouseKind::Clickhouse => "deliver-clickhouse",
    };
    let delivered = delivered_records().map(|(schema, _)| (deliver, schema.topic));
    for (group, topic) in STAGES.into_iter().zip(TASK_INPUTS).chain(delivered) {
        let (group, topic) = (topology::name(config, group), topology::name(config, topic));
        for partition in 0..transport.partition_count(&topic).unwrap_or(0) {
            transport.committed(&group, &topic, partition).map_err(|error| format!("group {group}: {error}"))?;
        }
    }
    Ok(Vec::new())
}
