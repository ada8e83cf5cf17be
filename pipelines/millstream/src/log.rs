//! Opens the configured log.

use std::sync::Arc;

use millstream_transports::Transport;
use millstream_transports::embedded::{EmbeddedLog, EmbeddedOptions};

use crate::config::{Config, TransportKind};
use crate::error::Failure;

/// Opens the log; the embedded one takes the data directory for this process alone.
///
/// # Errors
/// Where it cannot be opened or reached.
pub fn open(config: &Config) -> Result<Arc<dyn Transport>, Failure> {
    match config.transport {
        TransportKind::Embedded => {
            let directory = config.data_dir.join("log");
            std::fs::create_dir_all(&directory).map_err(|error| Failure::file(&directory, error))?;
            let log = EmbeddedLog::open(&directory, EmbeddedOptions::default())
                .map_err(|error| Failure::new(format!("the embedded log in {}: {error}", directory.display())))?;
            Ok(Arc::new(log))
        }
        TransportKind::Kafka => kafka(config),
    }
}

#[cfg(feature = "kafka")]
fn kafka(config: &Config) -> Result<Arc<dyn Transport>, Failure> {
    Ok(Arc::new(kafka_transport(config)?))
}

#[cfg(not(feature = "kafka"))]
fn kafka(_config: &Config) -> Result<Arc<dyn Transport>, Failure> {
    Err(Failure::new("this binary was built without the feature `kafka`; build it with `--features kafka`"))
}

/// The Kafka transport as configured.
///
/// # Errors
/// Where the settings contradict each other.
#[cfg(feature = "kafka")]
pub fn kafka_transport(config: &Config) -> Result<millstream_kafka::KafkaTransport, Failure> {
    use millstream_kafka::{GroupProtocol, KafkaConfig, KafkaTransport, Sasl, SaslMechanism, Secret, Security, Tls};

    let section = &config.kafka;
    let tls = Tls {
        ca: section.ca.clone(),
        certificate: section.certificate.clone(),
        key: section.key.clone(),
        key_password: None,
    };
    let sasl = || Sasl {
        mechanism: match section.sasl_mechanism.as_str() {
            "PLAIN" => SaslMechanism::Plain,
            "SCRAM-SHA-256" => SaslMechanism::ScramSha256,
            _ => SaslMechanism::ScramSha512,
        },
        username: section.user.clone(),
        password: Secret::new(section.password.clone()),
    };
    let kafka = KafkaConfig {
        security: match section.security.as_str() {
            "ssl" => Security::Ssl(tls),
            "sasl_plaintext" => Security::SaslPlaintext(sasl()),
            "sasl_ssl" => Security::SaslSsl(tls, sasl()),
            _ => Security::Plaintext,
        },
        group_protocol: if section.group_protocol == "consumer" {
            GroupProtocol::Consumer
        } else {
            GroupProtocol::Classic
        },
        session_timeout_ms: section.session_timeout_ms,
        replication: section.replication,
        development: section.development,
        ..KafkaConfig::new(section.brokers.clone())
    };
    KafkaTransport::new(kafka).map_err(|error| Failure::new(format!("kafka: {error}")))
}
