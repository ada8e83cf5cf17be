//! `millstream check`

use millstream_deliver::ClickHouse;

use crate::config::{Config, TransportKind, WarehouseKind};
use crate::error::Failure;
use crate::progress::tell;
use crate::registry;

/// Looks at everything the configuration names. The configuration itself was validated when it was loaded.
///
/// # Errors
/// When something would keep Millstream from running; warnings alone are no error.
pub fn run(config: &Config) -> Result<(), Failure> {
    tell("configuration: well-formed");
    let mut broken = 0;
    let mut report = |what: &str, result: Result<Vec<String>, String>| match result {
        Ok(warnings) if warnings.is_empty() => tell(&format!("{what}: fine")),
        Ok(warnings) => warnings.iter().for_each(|warning| tell(&format!("{what}: warning: {warning}"))),
        Err(error) => {
            broken += 1;
            tell(&format!("{what}: {error}"));
        }
    };
    report("log", check_log(config));
    report("warehouse", check_warehouse(config));
    if !config.registry.url.is_empty() {
        let registered = registry::register(&config.registry.url, &config.namespace);
        report("schema registry", registered.map(|_| Vec::new()).map_err(|error| error.to_string()));
    }
    if broken == 0 { Ok(()) } else { Err(Failure::new(format!("{broken} of them must be mended first"))) }
}

fn check_log(config: &Config) -> Result<Vec<String>, String> {
    match config.transport {
        TransportKind::Embedded => {
            std::fs::create_dir_all(&config.data_dir)
                .map_err(|error| format!("{}: {error}", config.data_dir.display()))?;
            Ok(Vec::new())
        }
        TransportKind::Kafka => check_kafka(config),
    }
}

#[cfg(feature = "kafka")]
fn check_kafka(config: &Config) -> Result<Vec<String>, String> {
    let transport = crate::log::kafka_transport(config).map_err(|failure| failure.to_string())?;
    let report = transport.check(&crate::topology::all(config)).map_err(|error| error.to_string())?;
    Ok(report.warnings.iter().map(ToString::to_string).collect())
}

#[cfg(not(feature = "kafka"))]
fn check_kafka(_config: &Config) -> Result<Vec<String>, String> {
    Err("this binary was built without the feature `kafka`".to_owned())
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
