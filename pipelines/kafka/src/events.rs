//! What librdkafka tells us unasked: log lines and errors in the background.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext};

/// Errors kept for a diagnosis; older ones go.
const KEPT_ERRORS: usize = 16;

/// The newest errors that a client met in the background. A failed login is told nowhere else: the call that suffers from it only
/// times out.
#[derive(Debug, Clone, Default)]
pub(crate) struct ErrorLog(Arc<Mutex<VecDeque<(RDKafkaErrorCode, String)>>>);

impl ErrorLog {
    pub(crate) fn push(&self, error: &KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else { return };
        if code == RDKafkaErrorCode::PartitionEOF {
            return;
        }
        tracing::warn!(target: "kafka", ?code, reason, "the client reports an error");
        let mut errors = self.0.lock();
        if errors.len() == KEPT_ERRORS {
            errors.pop_front();
        }
        errors.push_back((code, reason.to_owned()));
    }

    pub(crate) fn all(&self) -> Vec<(RDKafkaErrorCode, String)> {
        self.0.lock().iter().cloned().collect()
    }

    /// The error that explains most: one about credentials if there is one, else the newest that is not a mere consequence.
    pub(crate) fn explanation(&self) -> Option<String> {
        let errors = self.0.lock();
        let of = |wanted: &dyn Fn(RDKafkaErrorCode) -> bool| {
            errors.iter().rev().find(|(code, _)| wanted(*code)).map(|(_, reason)| reason.clone())
        };
        of(&|code| {
            matches!(
                code,
                RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed | RDKafkaErrorCode::SSL
            )
        })
        .or_else(|| of(&|code| code != RDKafkaErrorCode::AllBrokersDown))
        .or_else(|| of(&|_| true))
    }
}

fn log_line(level: RDKafkaLogLevel, facility: &str, line: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
            tracing::error!(target: "kafka", facility, "{line}");
        }
        RDKafkaLogLevel::Warning => tracing::warn!(target: "kafka", facility, "{line}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => tracing::info!(target: "kafka", facility, "{line}"),
        RDKafkaLogLevel::Debug => tracing::debug!(target: "kafka", facility, "{line}"),
    }
}

/// The context of a client that needs nothing but its errors kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Quiet {
    pub(crate) errors: ErrorLog,
}

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log_line(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.errors.push(&error, reason);
    }
}

impl ConsumerContext for Quiet {}

impl ProducerContext for Quiet {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        // Only failures are reported, and the commit that follows fails with them.
        if let Err((error, _)) = result {
            tracing::debug!(target: "kafka", %error, "a record of a transaction was not delivered");
        }
    }
}

/// Implements [`ClientContext`] for a type with a field `errors`.
macro_rules! keeps_errors {
    ($context:ty) => {
        impl rdkafka::ClientContext for $context {
            fn log(&self, level: rdkafka::config::RDKafkaLogLevel, facility: &str, line: &str) {
                rdkafka::ClientContext::log(&$crate::events::Quiet::default(), level, facility, line);
            }

            fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
                self.errors.push(&error, reason);
            }
        }
    };
}
pub(crate) use keeps_errors;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_login_explains_more_than_the_brokers_being_down() {
        let log = ErrorLog::default();
        log.push(&KafkaError::Global(RDKafkaErrorCode::Authentication), "wrong password");
        log.push(&KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down");
        assert_eq!(log.explanation().as_deref(), Some("wrong password"));
    }

    #[test]
    fn the_log_is_bounded() {
        let log = ErrorLog::default();
        for n in 0..100 {
            log.push(&KafkaError::Global(RDKafkaErrorCode::Resolve), &n.to_string());
        }
        assert_eq!(log.all().len(), KEPT_ERRORS);
        assert_eq!(log.explanation().as_deref(), Some("99"));
    }
}
