//! One TOML file, defaults that work, environment overrides.
//!
//! `MILLSTREAM_DATA_DIR` sets `data_dir`; every other key is overridden by `MILLSTREAM__` and its path in capitals with double
//! underscores, for example `MILLSTREAM__KAFKA__BROKERS`.

mod env;
mod load;
mod validate;

use std::path::PathBuf;

use millstream_collect::{CollectConfig, SiteKeys};
use millstream_deliver::ClickHouseConfig;
use millstream_operators::site::{SiteConfigError, Sites};
use millstream_serve::{ServeConfig, SiteTokens};
use serde::{Deserialize, Serialize};

pub use load::{ConfigError, load};
pub use validate::bad_namespace;

/// Which log carries everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransportKind {
    /// A durable log in `data_dir`, one process.
    Embedded,
    /// Apache Kafka.
    Kafka,
}

/// Where rows go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WarehouseKind {
    /// Parquet files in `data_dir`, SQL by DataFusion.
    Embedded,
    /// ClickHouse.
    Clickhouse,
}

/// Everything the binary is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where data lives: the embedded log and the embedded warehouse.
    pub data_dir: PathBuf,
    /// Which log.
    pub transport: TransportKind,
    /// Which warehouse.
    pub warehouse: WarehouseKind,
    /// Prefix of topics and groups, such as `staging.`; empty for none.
    pub namespace: String,
    /// This process's name within its consumer groups: a process that comes back under the same name within the session timeout
    /// keeps its partitions, two at once fence each other. Empty: the machine's host name.
    pub instance: String,
    /// Partitions of every input topic. It can never change within a namespace.
    pub partitions: u32,
    /// Whether events are collected live: only then does time pass while nothing comes.
    pub live: bool,
    /// Worker threads a stage.
    pub workers: usize,
    /// Longest epoch, milliseconds.
    pub epoch_max_ms: u64,
    /// How long the log keeps records, hours; 0 keeps them for ever.
    pub retention_hours: u64,
    /// Kafka, where it is the transport.
    pub kafka: KafkaSection,
    /// ClickHouse, where it is the warehouse.
    pub clickhouse: ClickHouseConfig,
    /// Schema registry, where there is one.
    pub registry: RegistrySection,
    /// The collector.
    pub collect: CollectConfig,
    /// What ingest lets pass.
    pub ingest: IngestSection,
    /// Batches to the warehouse.
    pub deliver: DeliverSection,
    /// Live reads.
    pub serve: ServeConfig,
    /// Snapshots of operators' state.
    pub snapshots: SnapshotsSection,
    /// The shops.
    pub sites: Vec<SiteSection>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from(".millstream"),
            transport: TransportKind::Embedded,
            warehouse: WarehouseKind::Embedded,
            namespace: String::new(),
            instance: String::new(),
            partitions: 4,
            live: true,
            workers: 1,
            epoch_max_ms: 20,
            retention_hours: 0,
            kafka: KafkaSection::default(),
            clickhouse: ClickHouseConfig::default(),
            registry: RegistrySection::default(),
            collect: CollectConfig::default(),
            ingest: IngestSection::default(),
            deliver: DeliverSection::default(),
            serve: ServeConfig::default(),
            snapshots: SnapshotsSection::default(),
            sites: vec![SiteSection::demo()],
        }
    }
}

impl Config {
    /// The embedded warehouse's folder, one for each namespace: its rows are told by their place in the namespace's topics.
    pub fn warehouse_folder(&self) -> PathBuf {
        self.data_dir.join(format!("{}warehouse", self.namespace))
    }

    /// The sites' settings as configured; tasks have them from the log, which is told the same.
    ///
    /// # Errors
    /// Where a setting makes no sense.
    pub fn site_settings(&self) -> Result<Sites, SiteConfigError> {
        let mut sites = Sites::default();
        for site in &self.sites {
            sites.apply(&site.name, 1, 0, &site.settings_body())?;
        }
        Ok(sites)
    }

    /// The process's name within its consumer groups.
    pub fn instance_name(&self) -> String {
        if !self.instance.is_empty() {
            return self.instance.clone();
        }
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = host.trim();
        if host.is_empty() { "millstream".to_owned() } else { host.to_owned() }
    }
}

/// How to reach Kafka.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaSection {
    /// `host:port`, comma separated.
    pub brokers: String,
    /// `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`.
    pub security: String,
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub sasl_mechanism: String,
    /// SASL user.
    pub user: String,
    /// SASL password.
    pub password: String,
    /// Certificate authority, PEM file.
    pub ca: Option<PathBuf>,
    /// Client certificate, PEM file.
    pub certificate: Option<PathBuf>,
    /// Client key, PEM file.
    pub key: Option<PathBuf>,
    /// `classic` or `consumer` (KIP-848).
    pub group_protocol: String,
    /// Session timeout of the classic protocol, milliseconds.
    pub session_timeout_ms: u32,
    /// Replicas of topics that are created; 1 in development, else 3 where absent.
    pub replication: Option<u16>,
    /// Development: one replica is enough, and `check` says so no more.
    pub development: bool,
}

impl Default for KafkaSection {
    fn default() -> Self {
        Self {
            brokers: "127.0.0.1:9092".to_owned(),
            security: "plaintext".to_owned(),
            sasl_mechanism: "SCRAM-SHA-512".to_owned(),
            user: String::new(),
            password: String::new(),
            ca: None,
            certificate: None,
            key: None,
            group_protocol: "classic".to_owned(),
            session_timeout_ms: 10_000,
            replication: None,
            development: false,
        }
    }
}

impl std::fmt::Debug for KafkaSection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaSection")
            .field("brokers", &self.brokers)
            .field("security", &self.security)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// How to reach a schema registry with the Confluent API.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegistrySection {
    /// Its address; empty: this binary serves its own schemas, read-only.
    pub url: String,
}

/// What ingest lets pass.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IngestSection {
    /// Share of a window's events that may be refused before the partition stops, 0 to 1; with 1 it never stops. See dead-letters.md
    /// before you lower it: with public write keys anybody could stop a partition.
    pub rejected_share_max: f64,
    /// Events of a window.
    pub rejected_window: u32,
}

impl Default for IngestSection {
    fn default() -> Self {
        Self { rejected_share_max: 1.0, rejected_window: 10_000 }
    }
}

/// Batches to the warehouse.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliverSection {
    /// Longest wait before rows are written, milliseconds.
    pub max_age_ms: u64,
    /// Most rows of one batch.
    pub max_rows: usize,
    /// Most bytes of one batch.
    pub max_bytes: usize,
    /// Consent purposes that a row must carry to reach the warehouse. Of a key whose row loses one, a retraction that tells the key alone.
    pub purposes: Vec<String>,
}

impl Default for DeliverSection {
    fn default() -> Self {
        Self { max_age_ms: 500, max_rows: 100_000, max_bytes: 32 << 20, purposes: vec!["necessary".to_owned()] }
    }
}

/// Snapshots of operators' state: a start goes on from the newest one instead of replaying all input.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SnapshotsSection {
    /// Whether they are taken. Without, a start replays all input, which must then be kept for ever.
    pub enabled: bool,
    /// Where: `file:///folder`, which every process that may own a partition must see, or `s3://bucket/prefix` in a binary built
    /// with the feature `s3`. Empty: the folder `snapshots` of `data_dir`.
    pub url: String,
    /// Of `s3://`: the store's address where it is not Amazon's, such as `https://storage.example:9000`.
    pub endpoint: String,
    /// Of `s3://`: the bucket's region. Empty: `AWS_REGION`, else `us-east-1`.
    pub region: String,
    /// Of `s3://`: access key. Empty: as every client of Amazon's finds it (`AWS_ACCESS_KEY_ID`, web identity, the machine's role).
    pub access_key_id: String,
    /// Of `s3://`: its secret; better given as `MILLSTREAM__SNAPSHOTS__SECRET_ACCESS_KEY`.
    pub secret_access_key: String,
    /// Of `s3://`: whether an `endpoint` of `http://` will do, where nothing is encrypted.
    pub allow_http: bool,
    /// Least time between two snapshots of a partition, milliseconds; about what a start after a crash has to replay.
    pub interval_ms: u64,
    /// Whether this process keeps the state of partitions that other processes own up to date beside its own, to take one over at
    /// once. It needs their memory and about half their processing time.
    pub standby: bool,
    /// The last snapshot of each day is kept for so many days, so that a day can be replayed from it.
    pub keep_days: u32,
}

impl Default for SnapshotsSection {
    fn default() -> Self {
        Self {
            enabled: true,
            url: String::new(),
            endpoint: String::new(),
            region: String::new(),
            access_key_id: String::new(),
            secret_access_key: String::new(),
            allow_http: false,
            interval_ms: 10_000,
            standby: false,
            keep_days: 30,
        }
    }
}

impl std::fmt::Debug for SnapshotsSection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SnapshotsSection")
            .field("enabled", &self.enabled)
            .field("url", &self.url)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// One shop.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteSection {
    /// The site's name, as it stands in every key and row.
    pub name: String,
    /// Write keys that name this site. Several, so that keys can be rotated.
    pub write_keys: Vec<String>,
    /// Tokens that may read what is known of the site's visitors (`serve`); for your servers, never for a page.
    #[serde(default)]
    pub read_tokens: Vec<String>,
    /// Browser origins that may send events; `*` for any.
    #[serde(default = "any_origin")]
    pub allowed_origins: Vec<String>,
    /// Sustained events per second; a burst of two seconds is allowed on top.
    #[serde(default = "default_rate")]
    pub max_events_per_second: u32,
    /// Whether the client's address is kept (PII). Off by default.
    #[serde(default)]
    pub keep_ip: bool,
    /// How its events are understood; goes into the log as a control record.
    #[serde(default)]
    pub settings: SiteSettings,
}

fn any_origin() -> Vec<String> {
    vec!["*".to_owned()]
}

fn default_rate() -> u32 {
    20_000
}

impl std::fmt::Debug for SiteSection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SiteSection")
            .field("name", &self.name)
            .field("write_keys", &self.write_keys.len())
            .field("read_tokens", &self.read_tokens.len())
            .finish_non_exhaustive()
    }
}

/// What operators are told of a site, through the log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct SiteSettings(pub serde_json::Map<String, serde_json::Value>);

impl SiteSection {
    /// The settings as the control record that tells tasks of them says it.
    pub fn settings_body(&self) -> String {
        serde_json::Value::Object(self.settings.0.clone()).to_string()
    }

    /// The shop of the demo. Its key is public: the default configuration listens on this machine only.
    fn demo() -> Self {
        Self {
            name: "demo".to_owned(),
            write_keys: vec!["demo-write-key".to_owned()],
            read_tokens: Vec::new(),
            allowed_origins: any_origin(),
            max_events_per_second: 100_000,
            keep_ip: false,
            settings: SiteSettings::default(),
        }
    }

    /// What live reads are told of it.
    pub fn tokens(&self) -> SiteTokens {
        SiteTokens { name: self.name.clone(), read_tokens: self.read_tokens.clone() }
    }

    /// What the collector is told of it.
    pub fn keys(&self) -> SiteKeys {
        SiteKeys {
            name: self.name.clone(),
            write_keys: self.write_keys.clone(),
            allowed_origins: self.allowed_origins.clone(),
            max_events_per_second: self.max_events_per_second,
            keep_ip: self.keep_ip,
        }
    }
}
