//! Encrypted and authenticated listeners.

use millstream_kafka::{CheckError, KafkaConfig, KafkaTransport, Sasl, SaslMechanism, Secret, Security, Tls};
use millstream_transports::{CommitOutcome, Transport};

use crate::support::{append, contents, skip, topic, unique, variable};

fn sasl(test: &str, mechanism: SaslMechanism, password: Option<&str>) -> Option<KafkaConfig> {
    if cfg!(not(feature = "tls")) {
        skip(test, "built without the feature tls");
        return None;
    }
    let brokers = variable(test, "KAFKA_TLS_BROKERS")?;
    let tls = Tls { ca: Some(variable(test, "KAFKA_TLS_CA")?.into()), ..Tls::default() };
    let username = variable(test, "KAFKA_TLS_USER")?;
    let right = variable(test, "KAFKA_TLS_PASSWORD")?;
    let mut config = KafkaConfig::new(brokers);
    config.development = true;
    config.security =
        Security::SaslSsl(tls, Sasl { mechanism, username, password: Secret::new(password.unwrap_or(&right)) });
    Some(config)
}

fn round_trip(config: KafkaConfig) {
    let kafka = KafkaTransport::new(config).expect("a transport");
    kafka.check(&[]).expect("let in");
    let output = topic(&kafka, "secret", 1);
    let mut producer = kafka.transactions(&unique("tls"), vec![output.clone()]).expect("a producer");
    producer.send(append(0, "k", "v")).expect("sent");
    assert_eq!(producer.commit(), CommitOutcome::Committed);
    assert_eq!(contents(&kafka, &output, 0), ["v"]);
}

#[test]
fn every_mechanism_lets_the_right_password_in() {
    for mechanism in [SaslMechanism::Plain, SaslMechanism::ScramSha256, SaslMechanism::ScramSha512] {
        let Some(config) = sasl("every_mechanism_lets_the_right_password_in", mechanism, None) else { return };
        round_trip(config);
    }
}

#[test]
fn a_wrong_password_is_told_as_such() {
    for mechanism in [SaslMechanism::Plain, SaslMechanism::ScramSha512] {
        let Some(config) = sasl("a_wrong_password_is_told_as_such", mechanism, Some("wrong-one")) else { return };
        let kafka = KafkaTransport::new(config).expect("a transport");
        let error = kafka.check(&[]).expect_err("not let in");
        assert!(matches!(error, CheckError::Authentication(_)), "{error}");
        assert!(!error.to_string().contains("wrong-one"), "{error}");
        // And an operation that suffers from it says why, instead of a mere time-out.
        let error = kafka.transactions(&unique("tls"), vec![unique("any")]).err().expect("not let in").to_string();
        assert!(error.to_lowercase().contains("auth"), "{error}");
    }
}

#[test]
fn an_unknown_authority_is_a_matter_of_certificates() {
    let test = "an_unknown_authority_is_a_matter_of_certificates";
    let Some(mut config) = sasl(test, SaslMechanism::Plain, None) else { return };
    if let Security::SaslSsl(tls, _) = &mut config.security {
        // A certificate of the instance, but none that signs the broker's.
        let Some(other) = variable(test, "KAFKA_MTLS_CERT") else { return };
        tls.ca = Some(other.into());
    }
    let error = KafkaTransport::new(config).expect("a transport").check(&[]).expect_err("must not trust");
    assert!(matches!(error, CheckError::Tls(_)), "{error}");
}

#[test]
fn a_client_certificate_lets_in() {
    let test = "a_client_certificate_lets_in";
    if cfg!(not(feature = "tls")) {
        skip(test, "built without the feature tls");
        return;
    }
    let Some(brokers) = variable(test, "KAFKA_MTLS_BROKERS") else { return };
    let file = |name: &str| variable(test, name).map(Into::into);
    let (Some(ca), Some(certificate), Some(key)) =
        (file("KAFKA_TLS_CA"), file("KAFKA_MTLS_CERT"), file("KAFKA_MTLS_KEY"))
    else {
        return;
    };
    let mut config = KafkaConfig::new(brokers);
    config.development = true;
    config.security =
        Security::Ssl(Tls { ca: Some(ca), certificate: Some(certificate), key: Some(key), key_password: None });
    round_trip(config.clone());
    if let Security::Ssl(tls) = &mut config.security {
        (tls.certificate, tls.key) = (None, None);
    }
    let error = KafkaTransport::new(config).expect("a transport").check(&[]).expect_err("no certificate, no entry");
    assert!(matches!(error, CheckError::Tls(_) | CheckError::Unreachable(_)), "{error}");
}
