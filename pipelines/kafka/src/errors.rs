//! What librdkafka's errors mean to us.

use millstream_transports::TransportError;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// What to make of an error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Another client with our transactional or instance id took over; this one is finished.
    TakenOver,
    /// The group went on without us: what we held may belong to somebody else. Polling rejoins.
    StaleGroup,
    /// The broker does not answer; worth retrying.
    Transient,
    /// No such topic or partition.
    UnknownTopic,
    /// Wrong credentials or no permission; retrying does not help.
    NotAllowed,
    /// A remark, not an error: librdkafka goes on by itself.
    Passing,
    /// Bytes that are not what was written.
    Damaged,
    /// Anything else.
    Other,
}

pub(crate) fn meaning(code: Code) -> Meaning {
    match code {
        Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch | Code::FencedInstanceId => Meaning::TakenOver,
        Code::IllegalGeneration
        | Code::UnknownMemberId
        | Code::StaleMemberEpoch
        | Code::FencedMemberEpoch
        | Code::AssignmentLost => Meaning::StaleGroup,
        Code::BrokerTransportFailure
        | Code::Resolve
        | Code::MessageTimedOut
        | Code::AllBrokersDown
        | Code::OperationTimedOut
        | Code::TimedOutQueue
        | Code::WaitingForCoordinator
        | Code::WaitCache
        | Code::InProgress
        | Code::Retry
        | Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::RequestTimedOut
        | Code::BrokerNotAvailable
        | Code::ReplicaNotAvailable
        | Code::NetworkException
        | Code::CoordinatorLoadInProgress
        | Code::CoordinatorNotAvailable
        | Code::NotCoordinator
        | Code::NotEnoughReplicas
        | Code::NotEnoughReplicasAfterAppend
        | Code::RebalanceInProgress
        | Code::NotController
        | Code::KafkaStorageError
        | Code::OffsetNotAvailable
        | Code::FencedLeaderEpoch
        | Code::UnknownLeaderEpoch
        | Code::PreferredLeaderNotAvailable
        | Code::UnstableOffsetCommit
        | Code::ConcurrentTransactions
        | Code::UnreleasedInstanceId
        | Code::ThrottlingQuotaExceeded => Meaning::Transient,
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicId => {
            Meaning::UnknownTopic
        }
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::UnsupportedSASLMechanism
        | Code::SSL => Meaning::NotAllowed,
        // Leaving the group for not polling comes back as a revocation.
        Code::PollExceeded | Code::PartitionEOF | Code::NodeUpdate | Code::DestroyBroker | Code::Noop => {
            Meaning::Passing
        }
        Code::BadMessage | Code::BadCompression | Code::InvalidMessage | Code::NotImplemented => Meaning::Damaged,
        _ => Meaning::Other,
    }
}

/// The text of an error. A refused configuration value is left out, because it may be a secret.
pub(crate) fn text(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, _, key, _) => format!("the value of the property `{key}` is refused"),
        other => other.to_string(),
    }
}

/// The code in an error. The client knows none of administrative requests, though they carry one.
fn code_of(error: &KafkaError) -> Option<Code> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}

/// An error with what was being done and, where the client has seen one, the reason that only its error callback was told.
pub(crate) fn describe(doing: &str, error: &KafkaError, background: Option<String>) -> TransportError {
    let mut message = format!("{doing}: {}", text(error));
    if let Some(background) = background {
        message.push_str("; the client reports: ");
        message.push_str(&background);
    }
    match code_of(error).map_or(Meaning::Other, meaning) {
        Meaning::TakenOver | Meaning::StaleGroup => TransportError::Fenced(message),
        Meaning::Transient => TransportError::Unavailable(message),
        Meaning::Damaged => TransportError::Damaged(message),
        Meaning::UnknownTopic | Meaning::NotAllowed | Meaning::Passing | Meaning::Other => {
            TransportError::Other(message)
        }
    }
}

/// Records that cannot be read: their bytes are damaged, or compressed in a way that this build does not know.
pub(crate) fn damaged(place: &str, error: &KafkaError) -> TransportError {
    TransportError::Damaged(format!("{place}: {error}; librdkafka cannot read a batch of records"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::types::RDKafkaConfRes;

    #[test]
    fn a_refused_property_does_not_show_its_value() {
        let error = KafkaError::ClientConfig(
            RDKafkaConfRes::RD_KAFKA_CONF_INVALID,
            "Invalid value \"hunter2\"".to_owned(),
            "ssl.key.password".to_owned(),
            "hunter2".to_owned(),
        );
        let shown = describe("starting", &error, None).to_string();
        assert!(shown.contains("ssl.key.password") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn time_outs_are_worth_retrying_and_take_overs_are_not() {
        // Asking for a topic's id is an administrative request: a broker that was down for longer than it waits ended the delivery.
        for timed_out in [KafkaError::MetadataFetch, KafkaError::AdminOp] {
            let described = describe("x", &timed_out(Code::OperationTimedOut), None);
            assert!(matches!(described, TransportError::Unavailable(_)), "{described}");
        }
        assert!(matches!(
            describe("x", &KafkaError::ConsumerCommit(Code::FencedInstanceId), None),
            TransportError::Fenced(_)
        ));
    }
}
