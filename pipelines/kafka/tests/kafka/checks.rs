//! The check before everything else.

use millstream_kafka::{CheckError, KafkaConfig, KafkaTransport, Warning};
use millstream_transports::{Retention, TopicSpec, Transport};

use crate::support::{config, unique};

#[test]
fn weak_settings_are_warned_of() {
    let Some(mut config) = config("weak_settings_are_warned_of") else { return };
    let spec = TopicSpec { name: unique("events"), partitions: 1, retention: Retention::TimeMs(86_400_000) };
    let development = KafkaTransport::new(config.clone()).expect("a transport");
    let report = development.check(std::slice::from_ref(&spec)).expect("reachable");
    assert_eq!(report.warnings, [Warning::MissingTopic(spec.name.clone())]);
    development.ensure_topics(std::slice::from_ref(&spec)).expect("created");
    assert_eq!(development.check(std::slice::from_ref(&spec)).expect("reachable").warnings, []);

    // The same single-replica topic is not good enough for production, nor for longer retention.
    config.development = false;
    let production = KafkaTransport::new(config).expect("a transport");
    let wanted = TopicSpec { retention: Retention::Forever, partitions: 2, ..spec.clone() };
    let report = production.check(&[wanted]).expect("reachable");
    let has = |wanted: &dyn Fn(&Warning) -> bool| report.warnings.iter().any(wanted);
    assert!(has(&|warning| matches!(warning, Warning::Replication { found: 1, .. })), "{report:?}");
    assert!(has(&|warning| matches!(warning, Warning::MinInsync { found: 1, .. })), "{report:?}");
    assert!(has(&|warning| matches!(warning, Warning::PartitionCount { found: 1, wanted: 2, .. })), "{report:?}");
    assert!(
        has(&|warning| matches!(warning, Warning::TopicSetting { setting, .. } if setting == "retention.ms")),
        "{report:?}"
    );
    let text: Vec<String> = report.warnings.iter().map(ToString::to_string).collect();
    assert!(text.iter().any(|line| line.contains(&spec.name) && line.contains("replica")), "{text:?}");
}

#[test]
fn a_broker_that_is_not_there_is_unreachable() {
    // Port 1 of this machine: nobody listens there, and no broker is needed to say so.
    let kafka = KafkaTransport::new(KafkaConfig::new("127.0.0.1:1")).expect("a transport");
    let error = kafka.check(&[]).expect_err("nobody there");
    assert!(matches!(error, CheckError::Unreachable(_)), "{error}");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
}
