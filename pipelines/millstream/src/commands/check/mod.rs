//! `millstream check`

#[cfg(feature = "kafka")]
mod kafka;

use millstream_deliver::ClickHouse;

use crate::config::{Config, TransportKind, WarehouseKind};
use crate::error::Failure;
use crate::progress::tell;
use crate::{registry, snapshots};

/// Looks at everything the configuration names. The configuration itself was validated when it was loaded.
///
/// # Errors
/// When something would keep Millstream from running; warnings alone are no error.
pub fn run(config: &Config) -> Result<(), Failure> {
    tell("configuration: well-formed");
    let mut broken = 0;
    let mut report = |what: &str, result: Result<Vec<String>, String>| match result {
        Ok(warnings) if warnings.is_empty() => tell(&format!("{what}: fine")),
        Ok(warnings) => grouped(&warnings).iter().for_each(|warning| tell(&format!("{what}: warning: {warning}"))),
        Err(error) => {
            broken += 1;
            tell(&format!("{what}: {error}"));
        }
    };
    let log = check_log(config);
    #[cfg(feature = "kafka")]
    let in_order = log.is_ok();
    report("log", log);
    #[cfg(feature = "kafka")]
    if in_order && config.transport == TransportKind::Kafka {
        report("transactions", kafka::transactions(config));
    }
    report("warehouse", check_warehouse(config));
    report("snapshots", snapshots::check(config).map(|()| Vec::new()));
    if !config.registry.url.is_empty() {
        let registered = registry::register(&config.registry.url, &config.namespace);
        report("schema registry", registered.map(|_| Vec::new()).map_err(|error| error.to_string()));
    }
    if broken == 0 { Ok(()) } else { Err(Failure::new(format!("{broken} of them must be mended first"))) }
}

/// The same said of many topics is said once.
fn grouped(warnings: &[String]) -> Vec<String> {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for warning in warnings {
        let said = warning.strip_prefix("topic ").and_then(|rest| rest.split_once([' ', ':']));
        let (topic, rest) = said.map_or(("", warning.as_str()), |(topic, rest)| (topic, rest.trim_start()));
        match groups.iter_mut().find(|(known, topics)| known == rest && !topics.is_empty() && !topic.is_empty()) {
            Some((_, topics)) => topics.push(topic),
            None => groups.push((rest.to_owned(), if topic.is_empty() { Vec::new() } else { vec![topic] })),
        }
    }
    let told = |(rest, topics): (String, Vec<&str>)| match topics.as_slice() {
        [] => rest,
        [topic] => format!("topic {topic}: {rest}"),
        [first, ..] => format!("{} topics ({first}, …): {rest}", topics.len()),
    };
    groups.into_iter().map(told).collect()
}

fn check_log(config: &Config) -> Result<Vec<String>, String> {
    match config.transport {
        TransportKind::Embedded => {
            std::fs::create_dir_all(&config.data_dir)
                .map_err(|error| format!("{}: {error}", config.data_dir.display()))?;
            Ok(Vec::new())
        }
        #[cfg(feature = "kafka")]
        TransportKind::Kafka => kafka::settings(config),
        #[cfg(not(feature = "kafka"))]
        TransportKind::Kafka => crate::log::open(config).map(|_| Vec::new()).map_err(|failure| failure.to_string()),
    }
}

fn check_warehouse(config: &Config) -> Result<Vec<String>, String> {
    match config.warehouse {
        WarehouseKind::Embedded => Ok(Vec::new()),
        WarehouseKind::Clickhouse => {
            let client = ClickHouse::new(&config.clickhouse).map_err(|error| error.to_string())?;
            client.check().map_err(|error| error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn the_same_said_of_many_topics_is_said_once() {
        let said = ["topic a does not exist", "broker: x is y", "topic b does not exist", "topic c: z is 1"];
        assert_eq!(
            grouped(&said.map(str::to_owned)),
            ["2 topics (a, …): does not exist", "broker: x is y", "topic c: z is 1"]
        );
    }
}
