//! Where a storm happens: servers of its own and an installation, whose logs are kept for whoever looks for a cause.

use std::path::Path;
use std::sync::Arc;

use millstream_kafka::{KafkaConfig, KafkaTransport};

use super::chaos::SESSION_TIMEOUT_MS;
use super::{DATABASE, KEY, PARTITIONS, Storm};
use crate::binary::Installation;
use crate::crash::servers::DevServer;

/// The servers and the installation of a run.
pub struct Place {
    /// Configuration and folder of the processes.
    pub installation: Installation,
    /// Kafka.
    pub broker: Arc<DevServer>,
    /// ClickHouse.
    pub warehouse: Arc<DevServer>,
    seed: u64,
}

impl Place {
    /// `None` where the machine lacks a server; `test` is then skipped.
    pub fn new(test: &str, storm: &Storm) -> Option<Self> {
        let broker = Arc::new(DevServer::start(test, "kafka", "KAFKA_BROKERS")?);
        let warehouse = Arc::new(DevServer::start(test, "clickhouse", "CLICKHOUSE_URL")?);
        // Sessions end while the storm lasts, and some events come too late.
        let settings = format!(
            "[[sites]]\nname = \"demo\"\nwrite_keys = [\"{KEY}\"]\nmax_events_per_second = 100000\n\
             [sites.settings]\nsession_gap_ms = 5000\nhorizon_ms = 21600000\n"
        );
        let mut installation = Installation::embedded().with_config_text(&settings);
        for (key, value) in [
            ("TRANSPORT", "kafka"),
            ("KAFKA__BROKERS", &broker.address),
            ("KAFKA__DEVELOPMENT", "true"),
            ("KAFKA__SESSION_TIMEOUT_MS", &SESSION_TIMEOUT_MS.to_string()),
            ("KAFKA__GROUP_PROTOCOL", &storm.protocol),
            ("PARTITIONS", &PARTITIONS.to_string()),
            ("WAREHOUSE", "clickhouse"),
            ("CLICKHOUSE__URL", &warehouse.address),
            ("CLICKHOUSE__DATABASE", DATABASE),
            // Small and young batches, so that there are many to be killed between.
            ("DELIVER__MAX_ROWS", "500"),
            ("DELIVER__MAX_AGE_MS", "200"),
            ("SNAPSHOTS__ENABLED", if storm.snapshots { "true" } else { "false" }),
            ("SNAPSHOTS__INTERVAL_MS", &storm.snapshot_interval_ms.to_string()),
        ] {
            installation.set(key, value);
        }
        Some(Self { installation, broker, warehouse, seed: storm.seed })
    }

    /// A transport of the comparison's own.
    pub fn transport(&self) -> KafkaTransport {
        let config = KafkaConfig { development: true, ..KafkaConfig::new(self.broker.address.clone()) };
        KafkaTransport::new(config).unwrap()
    }
}

impl Drop for Place {
    /// What everybody said, servers too, and of a run that panicked as well, for whoever looks for a cause.
    fn drop(&mut self) {
        let Some(folder) = std::env::var_os("STORM_LOGS") else { return };
        let to = Path::new(&folder).join(self.seed.to_string());
        let logs = [
            ("", self.installation.folder().to_owned()),
            ("broker-", self.broker.folder().to_owned()),
            ("warehouse-", self.warehouse.folder().to_owned()),
        ];
        for (prefix, from) in logs {
            if let Err(error) = keep_logs(&from, &to, prefix) {
                eprintln!("the logs of {} are not kept: {error}", from.display());
            }
        }
    }
}

/// Copies every `*.log` of a folder.
fn keep_logs(from: &Path, to: &Path, prefix: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        if path.is_file() && path.extension().is_some_and(|extension| extension == "log") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            std::fs::copy(&path, to.join(format!("{prefix}{name}")))?;
        }
    }
    Ok(())
}
