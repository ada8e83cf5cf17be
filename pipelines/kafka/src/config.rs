//! What an operator configures, and its translation into librdkafka's properties for security.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use millstream_transports::TransportError;
use rdkafka::ClientConfig;

/// A password. It has no way into logs: `Debug` prints stars.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a password.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How the connection is encrypted: PEM files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificates of the authorities that may sign the broker's; the system's own where absent.
    pub ca: Option<PathBuf>,
    /// Our certificate, where the broker asks for one (mutual TLS).
    pub certificate: Option<PathBuf>,
    /// The key of our certificate.
    pub key: Option<PathBuf>,
    /// Password of the key file.
    pub key_password: Option<Secret>,
}

/// How a user proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslMechanism {
    /// User and password as they are; only over TLS.
    Plain,
    /// Salted challenge and response with SHA-256.
    ScramSha256,
    /// Salted challenge and response with SHA-512.
    ScramSha512,
}

impl SaslMechanism {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// User and password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sasl {
    /// Mechanism that the broker's listener offers.
    pub mechanism: SaslMechanism,
    /// User name.
    pub username: String,
    /// Password.
    pub password: Secret,
}

/// How we talk to the brokers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Security {
    /// Neither encrypted nor authenticated.
    #[default]
    Plaintext,
    /// Encrypted; authenticated by certificate where [`Tls::certificate`] is given.
    Ssl(Tls),
    /// User and password over an unencrypted connection.
    SaslPlaintext(Sasl),
    /// User and password over an encrypted connection.
    SaslSsl(Tls, Sasl),
}

/// Which protocol the consumer group speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GroupProtocol {
    /// The protocol of every Kafka version; the session timeout is ours. A process that was killed and comes back under its instance
    /// id takes its place over at once.
    #[default]
    Classic,
    /// KIP-848 (Kafka 4): incremental rebalances, assigned by the broker. The session timeout is the broker's
    /// (`group.consumer.session.timeout.ms`), and a process that was killed gets its instance id back only when that has passed.
    Consumer,
}

/// Where the cluster is and how to use it.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// `host:port`, comma-separated.
    pub brokers: String,
    /// How this process names itself to the brokers.
    pub client_id: String,
    /// Encryption and authentication.
    pub security: Security,
    /// Protocol of consumer groups.
    pub group_protocol: GroupProtocol,
    /// A member that is silent for this many milliseconds loses its partitions (classic protocol; the broker's default minimum is
    /// 6,000).
    pub session_timeout_ms: u32,
    /// A transaction that is open for this many milliseconds is aborted by the broker; at most 10,000, because readers of committed
    /// records wait for it.
    pub transaction_timeout_ms: u32,
    /// Bytes that may wait in an appender before it refuses more.
    pub append_queue_bytes: usize,
    /// Kilobytes that a consumer may fetch ahead, all its partitions together; one answer of a broker (4 MiB) may come
    /// on top. What the client keeps beside a small record takes several times as much.
    pub fetch_queue_kbytes: u32,
    /// Replicas of a new topic; by default 1 in development, else 3.
    pub replication: Option<u16>,
    /// One broker is enough, and `check` does not warn about that.
    pub development: bool,
    /// Further librdkafka properties. Those that correctness rests on are refused.
    pub extra: BTreeMap<String, String>,
}

impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaConfig")
            .field("brokers", &self.brokers)
            .field("client_id", &self.client_id)
            .field("security", &self.security)
            .field("group_protocol", &self.group_protocol)
            .field("session_timeout_ms", &self.session_timeout_ms)
            .field("transaction_timeout_ms", &self.transaction_timeout_ms)
            .field("append_queue_bytes", &self.append_queue_bytes)
            .field("fetch_queue_kbytes", &self.fetch_queue_kbytes)
            .field("replication", &self.replication)
            .field("development", &self.development)
            // The values may hold secrets that we do not know by name.
            .field("extra", &self.extra.keys().collect::<Vec<_>>())
            .finish()
    }
}

impl KafkaConfig {
    /// A configuration with defaults for everything but the address.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            client_id: "millstream".to_owned(),
            security: Security::Plaintext,
            group_protocol: GroupProtocol::Classic,
            session_timeout_ms: 10_000,
            transaction_timeout_ms: 10_000,
            append_queue_bytes: 64 << 20,
            fetch_queue_kbytes: 4 << 10,
            replication: None,
            development: false,
            extra: BTreeMap::new(),
        }
    }

    /// Replicas of a new topic.
    pub fn replication(&self) -> u16 {
        self.replication.unwrap_or(if self.development { 1 } else { 3 })
    }

    /// Replicas that must have a record before it counts as written.
    pub fn min_insync(&self) -> u16 {
        if self.replication() >= 3 { 2 } else { 1 }
    }

    /// Properties that every client of this cluster shares.
    pub(crate) fn base(&self) -> Result<ClientConfig, TransportError> {
        self.validate()?;
        let mut client = ClientConfig::new();
        for (key, value) in &self.extra {
            client.set(key, value);
        }
        client
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", &self.client_id)
            .set("socket.nagle.disable", "true")
            .set("log.connection.close", "false");
        for (key, value) in [
            // Found again within a second when a broker restarts.
            ("reconnect.backoff.ms", "50"),
            ("reconnect.backoff.max.ms", "1000"),
            ("socket.timeout.ms", "10000"),
            ("socket.connection.setup.timeout.ms", "10000"),
        ] {
            self.set_default(&mut client, key, value);
        }
        self.apply_security(&mut client);
        Ok(client)
    }

    /// Sets a property unless [`KafkaConfig::extra`] has it.
    pub(crate) fn set_default(&self, client: &mut ClientConfig, key: &str, value: &str) {
        if !self.extra.contains_key(key) {
            client.set(key, value);
        }
    }

    fn apply_security(&self, client: &mut ClientConfig) {
        let (protocol, tls, sasl) = match &self.security {
            Security::Plaintext => ("plaintext", None, None),
            Security::Ssl(tls) => ("ssl", Some(tls), None),
            Security::SaslPlaintext(sasl) => ("sasl_plaintext", None, Some(sasl)),
            Security::SaslSsl(tls, sasl) => ("sasl_ssl", Some(tls), Some(sasl)),
        };
        client.set("security.protocol", protocol);
        if let Some(tls) = tls {
            for (key, path) in [
                ("ssl.ca.location", &tls.ca),
                ("ssl.certificate.location", &tls.certificate),
                ("ssl.key.location", &tls.key),
            ] {
                if let Some(path) = path {
                    client.set(key, path.to_string_lossy());
                }
            }
            if let Some(password) = &tls.key_password {
                client.set("ssl.key.password", password.reveal());
            }
        }
        if let Some(sasl) = sasl {
            client
                .set("sasl.mechanism", sasl.mechanism.name())
                .set("sasl.username", &sasl.username)
                .set("sasl.password", sasl.password.reveal());
        }
    }

    fn validate(&self) -> Result<(), TransportError> {
        let refuse = |text: String| Err(TransportError::Other(format!("kafka configuration: {text}")));
        if self.brokers.trim().is_empty() {
            return refuse("`brokers` is empty; give host:port, comma-separated".to_owned());
        }
        if let Some(key) = self.extra.keys().find(|key| is_reserved(key)) {
            return refuse(format!(
                "`{key}` in `extra` is not yours to set: correctness rests on it, or it has a field of its own"
            ));
        }
        if self.transaction_timeout_ms == 0 || self.transaction_timeout_ms > 10_000 {
            return refuse(format!(
                "transaction_timeout_ms is {}; it must be 1 to 10,000",
                self.transaction_timeout_ms
            ));
        }
        if !cfg!(feature = "tls") {
            let needs = match &self.security {
                Security::Ssl(_) | Security::SaslSsl(..) => Some("TLS"),
                Security::SaslPlaintext(sasl) if sasl.mechanism != SaslMechanism::Plain => Some("SCRAM"),
                Security::SaslPlaintext(_) | Security::Plaintext => None,
            };
            if let Some(what) = needs {
                return refuse(format!(
                    "{what} is configured, but this binary was built without it; build with `--features kafka-tls`"
                ));
            }
        }
        if let Security::Ssl(tls) | Security::SaslSsl(tls, _) = &self.security {
            if tls.certificate.is_some() != tls.key.is_some() {
                return refuse("a client certificate needs its key, and a key its certificate".to_owned());
            }
            for path in [&tls.ca, &tls.certificate, &tls.key].into_iter().flatten() {
                if !path.is_file() {
                    return refuse(format!("there is no file {}", path.display()));
                }
            }
        }
        Ok(())
    }
}

fn is_reserved(key: &str) -> bool {
    const RESERVED: &[&str] = &[
        "acks",
        "request.required.acks",
        "enable.idempotence",
        "transactional.id",
        "transaction.timeout.ms",
        "isolation.level",
        "enable.auto.commit",
        "auto.commit.enable",
        "enable.auto.offset.store",
        "auto.offset.reset",
        "enable.partition.eof",
        "group.id",
        "group.instance.id",
        "group.protocol",
        "group.remote.assignor",
        "partition.assignment.strategy",
        "session.timeout.ms",
        "delivery.report.only.error",
        "bootstrap.servers",
        "metadata.broker.list",
        "client.id",
        "security.protocol",
        "allow.auto.create.topics",
    ];
    RESERVED.contains(&key) || key.starts_with("sasl.") && !key.starts_with("sasl.kerberos.")
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_reach_debug() {
        let mut config = KafkaConfig::new("broker:9092");
        config.security = Security::SaslSsl(
            Tls { key_password: Some(Secret::new("hunter2")), ..Tls::default() },
            Sasl { mechanism: SaslMechanism::Plain, username: "shop".to_owned(), password: Secret::new("hunter3") },
        );
        config.extra.insert("ssl.key.pem".to_owned(), "hunter4".to_owned());
        let text = format!("{config:?}");
        assert!(!text.contains("hunter"), "{text}");
        assert!(text.contains("shop") && text.contains("ssl.key.pem"));
    }

    #[test]
    fn what_correctness_rests_on_cannot_be_overridden() {
        for key in ["acks", "isolation.level", "enable.auto.commit", "transactional.id", "sasl.password"] {
            let mut config = KafkaConfig::new("broker:9092");
            config.extra.insert(key.to_owned(), "x".to_owned());
            let error = config.base().expect_err(key).to_string();
            assert!(error.contains(key), "{error}");
        }
        let mut config = KafkaConfig::new("broker:9092");
        config.extra.insert("linger.ms".to_owned(), "7".to_owned());
        assert!(config.base().is_ok());
    }

    #[test]
    fn missing_files_and_half_pairs_are_named() {
        let mut config = KafkaConfig::new("broker:9092");
        config.security = Security::Ssl(Tls { ca: Some("/nowhere/ca.pem".into()), ..Tls::default() });
        let error = config.base().expect_err("must refuse").to_string();
        if cfg!(feature = "tls") {
            assert!(error.contains("/nowhere/ca.pem"), "{error}");
        } else {
            assert!(error.contains("kafka-tls"), "{error}");
        }
    }

    #[test]
    fn replicas_follow_development() {
        let mut config = KafkaConfig::new("broker:9092");
        assert_eq!((config.replication(), config.min_insync()), (3, 2));
        config.development = true;
        assert_eq!((config.replication(), config.min_insync()), (1, 1));
    }
}
