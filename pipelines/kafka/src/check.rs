//! Is the cluster reachable, are we let in, and do its settings keep the promises that we build on?

use std::fmt;
use std::time::{Duration, Instant};

use millstream_transports::{Retention, TopicSpec, TransportError};
use rdkafka::admin::{AdminClient, ConfigResource, ResourceSpecifier};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::metadata::Metadata;

use crate::admin;
use crate::config::{GroupProtocol, KafkaConfig};
use crate::errors::describe;
use crate::events::Quiet;
use crate::settings;
use crate::topics::REQUEST;

/// How long the brokers may take to answer the first time.
const CONNECT: Duration = Duration::from_secs(10);
/// How long to wait for one answer before the error callback is looked at.
const STEP: Duration = Duration::from_millis(500);
/// An idle group forgets its offsets after this long; ours must outlive a long weekend.
const OFFSETS_RETENTION_MINUTES: i64 = 7 * 24 * 60;

/// Why the cluster cannot be used at all.
#[derive(Debug)]
#[non_exhaustive]
pub enum CheckError {
    /// The brokers refuse who we say we are.
    Authentication(String),
    /// The encrypted connection fails: certificate, authority or host name.
    Tls(String),
    /// No broker answers.
    Unreachable(String),
    /// We are let in, but may not ask.
    Permission(String),
    /// The configuration contradicts itself.
    Configuration(String),
    /// Anything else, with the client's words.
    Other(String),
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authentication(reason) => {
                write!(f, "the brokers refuse the login: {reason}; check mechanism, user and password")
            }
            Self::Tls(reason) => {
                write!(f, "the encrypted connection fails: {reason}; check authority, certificate, key and host name")
            }
            Self::Unreachable(reason) => write!(f, "no broker answers: {reason}; check `brokers` and the network"),
            Self::Permission(reason) => write!(f, "not permitted: {reason}; ask for the access that the guide lists"),
            Self::Configuration(reason) | Self::Other(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for CheckError {}

/// A setting that weakens a promise. Nothing is refused on account of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// Fewer than three replicas: a lost disk loses acknowledged records.
    Replication {
        /// Topic name.
        topic: String,
        /// The smallest number of replicas of its partitions.
        found: usize,
    },
    /// Fewer than two replicas need to have a record before it is acknowledged.
    MinInsync {
        /// Topic name.
        topic: String,
        /// Its `min.insync.replicas`.
        found: i64,
    },
    /// A setting of a topic differs from what `ensure_topics` gives new ones.
    TopicSetting {
        /// Topic name.
        topic: String,
        /// Setting.
        setting: String,
        /// What the topic has.
        found: String,
        /// What it should have.
        wanted: String,
        /// What goes wrong otherwise.
        consequence: &'static str,
    },
    /// A topic is not there yet.
    MissingTopic(String),
    /// A topic has another partition count than configured; it will be refused.
    PartitionCount {
        /// Topic name.
        topic: String,
        /// What it has.
        found: usize,
        /// What the configuration wants.
        wanted: u32,
    },
    /// A setting of a broker.
    BrokerSetting {
        /// Setting.
        setting: String,
        /// What the broker has.
        found: String,
        /// What goes wrong, and what to do.
        consequence: &'static str,
    },
    /// Settings could not be read, so they were not checked.
    NotChecked(String),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replication { topic, found } => {
                write!(
                    f,
                    "topic {topic} has {found} replica(s): a lost disk loses acknowledged records; 3 are needed outside development"
                )
            }
            Self::MinInsync { topic, found } => {
                write!(
                    f,
                    "topic {topic}: min.insync.replicas is {found}: a record counts as written on one disk; set 2 outside development"
                )
            }
            Self::TopicSetting { topic, setting, found, wanted, consequence } => {
                write!(f, "topic {topic}: {setting} is {found}, not {wanted}: {consequence}")
            }
            Self::MissingTopic(topic) => write!(f, "topic {topic} does not exist yet; `millstream topics` creates it"),
            Self::PartitionCount { topic, found, wanted } => {
                write!(f, "topic {topic} has {found} partitions, configuration says {wanted}: it will be refused")
            }
            Self::BrokerSetting { setting, found, consequence } => {
                write!(f, "broker: {setting} is {found}: {consequence}")
            }
            Self::NotChecked(what) => write!(f, "not checked: {what}"),
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// Brokers that the cluster names.
    pub brokers: usize,
    /// Settings that weaken a promise.
    pub warnings: Vec<Warning>,
}

/// See [`crate::KafkaTransport::check`].
pub(crate) fn check(config: &KafkaConfig, topics: &[TopicSpec]) -> Result<CheckReport, CheckError> {
    let group = format!("{}-check", config.client_id);
    let client: BaseConsumer<Quiet> = settings::consumer(config, &group)
        .map_err(|error| CheckError::Configuration(error.to_string()))?
        .create_with_context(Quiet::default())
        .map_err(|error| CheckError::Configuration(describe("starting a client", &error, None).to_string()))?;
    let metadata = connect(config, &client)?;
    let mut warnings = Vec::new();
    let admin = admin::client(config).map_err(|error| CheckError::Other(error.to_string()))?;
    if let Some(broker) = metadata.brokers().first() {
        match describe_one(&admin, ResourceSpecifier::Broker(broker.id())) {
            Ok(resource) => check_broker(config, &resource, &mut warnings),
            Err(error) => warnings.push(Warning::NotChecked(format!("settings of the brokers: {error}"))),
        }
    }
    for spec in topics {
        check_topic(config, &admin, &metadata, spec, &mut warnings);
    }
    Ok(CheckReport { brokers: metadata.brokers().len(), warnings })
}

/// Asks until somebody answers. A failed login reaches only the error callback, which polling serves; the question just times out.
fn connect(config: &KafkaConfig, client: &BaseConsumer<Quiet>) -> Result<Metadata, CheckError> {
    let deadline = Instant::now() + CONNECT;
    loop {
        let answer = client.fetch_metadata(None, STEP);
        let error = match answer {
            Ok(metadata) => return Ok(metadata),
            Err(error) => error,
        };
        while let Some(event) = client.poll(Duration::from_millis(1)) {
            drop(event);
        }
        let seen = client.context().errors.all();
        let reason = |wanted: &[Code]| {
            seen.iter().rev().find(|(code, _)| wanted.contains(code)).map(|(_, reason)| reason.clone())
        };
        if let Some(reason) =
            reason(&[Code::Authentication, Code::SaslAuthenticationFailed, Code::UnsupportedSASLMechanism])
        {
            return Err(CheckError::Authentication(reason));
        }
        if let Some(reason) = reason(&[Code::SSL]) {
            return Err(CheckError::Tls(reason));
        }
        if error.rdkafka_error_code() == Some(Code::ClusterAuthorizationFailed) {
            return Err(CheckError::Permission(error.to_string()));
        }
        if Instant::now() >= deadline {
            let reason = client.context().errors.explanation().unwrap_or_else(|| error.to_string());
            return Err(CheckError::Unreachable(format!("{}: {reason}", config.brokers)));
        }
    }
}

fn describe_one(admin: &AdminClient<Quiet>, resource: ResourceSpecifier<'_>) -> Result<ConfigResource, TransportError> {
    let doing = format!("reading the settings of {resource:?}");
    let answers = admin::wait(admin.describe_configs([&resource], &admin::options()))
        .map_err(|error| describe(&doing, &error, admin.inner().context().errors.explanation()))?;
    match answers.into_iter().next() {
        Some(Ok(found)) => Ok(found),
        Some(Err(code)) => Err(TransportError::Other(format!("{doing}: {code}"))),
        None => Err(TransportError::Other(format!("{doing}: no answer within {} s", REQUEST.as_secs()))),
    }
}

fn setting<'a>(resource: &'a ConfigResource, name: &str) -> Option<&'a str> {
    resource.get(name)?.value.as_deref()
}

fn integer(resource: &ConfigResource, name: &str) -> Option<i64> {
    setting(resource, name)?.parse().ok()
}

fn check_broker(config: &KafkaConfig, broker: &ConfigResource, warnings: &mut Vec<Warning>) {
    let mut warn = |name: &str, bad: &dyn Fn(i64) -> bool, consequence: &'static str| {
        if let Some(found) = integer(broker, name).filter(|found| bad(*found)) {
            warnings.push(Warning::BrokerSetting { setting: name.to_owned(), found: found.to_string(), consequence });
        }
    };
    if !config.development {
        let lost = "a lost disk loses offsets or transactions; create the cluster with 3";
        warn("offsets.topic.replication.factor", &|found| found < 3, lost);
        warn("transaction.state.log.replication.factor", &|found| found < 3, lost);
        warn(
            "transaction.state.log.min.isr",
            &|found| found < 2,
            "a transaction counts as committed on one disk; set 2",
        );
    }
    warn(
        "offsets.retention.minutes",
        &|found| found < OFFSETS_RETENTION_MINUTES,
        "an idle group forgets where it was; set at least 10,080 (7 days)",
    );
    let timeout_ms = i64::from(config.transaction_timeout_ms);
    warn(
        "transaction.max.timeout.ms",
        &|found| found < timeout_ms,
        "our transactions are refused; lower transaction_timeout_ms",
    );
    if config.group_protocol == GroupProtocol::Classic {
        let session_ms = i64::from(config.session_timeout_ms);
        warn(
            "group.min.session.timeout.ms",
            &|found| found > session_ms,
            "members are refused; raise session_timeout_ms",
        );
        warn(
            "group.max.session.timeout.ms",
            &|found| found < session_ms,
            "members are refused; lower session_timeout_ms",
        );
    }
}

fn check_topic(
    config: &KafkaConfig,
    admin: &AdminClient<Quiet>,
    metadata: &Metadata,
    spec: &TopicSpec,
    warnings: &mut Vec<Warning>,
) {
    let topic = &spec.name;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
        warnings.push(Warning::MissingTopic(topic.clone()));
        return;
    };
    if u32::try_from(found.partitions().len()) != Ok(spec.partitions) {
        warnings.push(Warning::PartitionCount {
            topic: topic.clone(),
            found: found.partitions().len(),
            wanted: spec.partitions,
        });
    }
    let replicas = found.partitions().iter().map(|partition| partition.replicas().len()).min().unwrap_or(0);
    if !config.development && replicas < 3 {
        warnings.push(Warning::Replication { topic: topic.clone(), found: replicas });
    }
    let resource = match describe_one(admin, ResourceSpecifier::Topic(topic)) {
        Ok(resource) => resource,
        Err(error) => {
            warnings.push(Warning::NotChecked(format!("settings of topic {topic}: {error}")));
            return;
        }
    };
    if let Some(found) = integer(&resource, "min.insync.replicas").filter(|found| !config.development && *found < 2) {
        warnings.push(Warning::MinInsync { topic: topic.clone(), found });
    }
    check_topic_settings(spec, &resource, warnings);
}

fn check_topic_settings(spec: &TopicSpec, resource: &ConfigResource, warnings: &mut Vec<Warning>) {
    let mut warn = |name: &str, good: &dyn Fn(&str) -> bool, wanted: &str, consequence: &'static str| {
        if let Some(found) = setting(resource, name).filter(|found| !good(found)) {
            warnings.push(Warning::TopicSetting {
                topic: spec.name.clone(),
                setting: name.to_owned(),
                found: found.to_owned(),
                wanted: wanted.to_owned(),
                consequence,
            });
        }
    };
    let at_least = |limit: i64| move |found: &str| found.parse::<i64>().is_ok_and(|found| found < 0 || found >= limit);
    const CENTURY_MS: i64 = 100 * 365 * 86_400_000;
    warn(
        "message.timestamp.type",
        &|found| found == "CreateTime",
        "CreateTime",
        "records lose their own time, and replays differ",
    );
    warn(
        "message.timestamp.before.max.ms",
        &at_least(CENTURY_MS),
        "9223372036854775807",
        "history older than that is refused",
    );
    warn(
        "message.timestamp.after.max.ms",
        &at_least(86_400_000),
        "9223372036854775807",
        "one wrong clock makes the broker refuse whole batches",
    );
    match spec.retention {
        Retention::Compact => warn(
            "cleanup.policy",
            &|found| found == "compact",
            "compact",
            "the newest record of a key may be deleted by age",
        ),
        Retention::Forever => {
            warn("cleanup.policy", &|found| found == "delete", "delete", "earlier revisions are compacted away");
            warn(
                "retention.ms",
                &|found| found == "-1",
                "-1",
                "records older than that are deleted; history is deleted at once",
            );
            warn(
                "retention.bytes",
                &|found| found == "-1",
                "-1",
                "the oldest records are deleted when that is reached",
            );
        }
        Retention::TimeMs(ms) => {
            warn("cleanup.policy", &|found| found == "delete", "delete", "earlier revisions are compacted away");
            warn(
                "retention.ms",
                &at_least(ms),
                &ms.to_string(),
                "records go earlier than recovery relies on; history is deleted at once",
            );
            warn(
                "retention.bytes",
                &|found| found == "-1",
                "-1",
                "records go by size, earlier than recovery relies on",
            );
        }
    }
}
