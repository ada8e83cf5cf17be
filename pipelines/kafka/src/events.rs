//! What librdkafka tells us unasked: log lines and errors in the background.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
        REPORTS.say(code, reason);
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

/// What was said of errors in the background, all clients of the process together: a broker that is down is told by each of its
/// dozens of connections, several times a second.
static REPORTS: Reports = Reports(Mutex::new(Vec::new()));

/// The shortest and the longest time between two reports of the same kind of error.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Says each kind of error at once, and then at growing intervals with the count of those in between.
#[derive(Debug, Default)]
struct Reports(Mutex<Vec<Report>>);

/// A kind of error; there are some dozens.
#[derive(Debug)]
struct Report {
    code: RDKafkaErrorCode,
    said: Instant,
    heard: Instant,
    pause: Duration,
    unsaid: u64,
}

impl Reports {
    fn say(&self, code: RDKafkaErrorCode, reason: &str) {
        if let Some(unsaid) = self.hear(code, Instant::now()) {
            tracing::warn!(target: "kafka", ?code, reason, unsaid_before = unsaid, "the client reports an error");
        }
    }

    /// How many were not said since the last time, where this one is to be said.
    fn hear(&self, code: RDKafkaErrorCode, now: Instant) -> Option<u64> {
        let mut reports = self.0.lock();
        let new = Report { code, said: now, heard: now, pause: FIRST_PAUSE, unsaid: 0 };
        let Some(report) = reports.iter_mut().find(|report| report.code == code) else {
            reports.push(new);
            return Some(0);
        };
        let quiet = now.saturating_duration_since(report.heard);
        report.heard = now;
        if quiet > LONGEST_PAUSE {
            // Another trouble than the last one.
            *report = new;
            return Some(0);
        }
        if now.saturating_duration_since(report.said) < report.pause {
            report.unsaid += 1;
            return None;
        }
        report.said = now;
        report.pause = (report.pause * 2).min(LONGEST_PAUSE);
        Some(std::mem::take(&mut report.unsaid))
    }
}

fn log_line(level: RDKafkaLogLevel, facility: &str, line: &str) {
    // The same that the error callback is told, once a connection and attempt.
    if matches!(facility, "FAIL" | "ERROR") {
        tracing::debug!(target: "kafka", facility, "{line}");
        return;
    }
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
    fn an_outage_is_said_at_once_and_then_ever_more_rarely_with_a_count() {
        let reports = Reports::default();
        let start = Instant::now();
        let code = RDKafkaErrorCode::BrokerTransportFailure;
        // Ten errors a second for an hour.
        let said: Vec<(u64, u64)> = (0..36_000)
            .filter_map(|n| Some((n / 10, reports.hear(code, start + Duration::from_millis(n * 100))?)))
            .collect();
        assert_eq!(said.iter().map(|(second, _)| *second).take(4).collect::<Vec<_>>(), [0, 10, 30, 70]);
        assert!(said.len() <= 12, "{said:?}");
        let counted: u64 = said.iter().map(|(_, unsaid)| unsaid + 1).sum();
        assert!(counted > 30_000, "{counted} of 36,000 are accounted for by the last report");
        // Another kind of error is said at once, and so is the next outage.
        assert_eq!(reports.hear(RDKafkaErrorCode::Resolve, start), Some(0));
        assert_eq!(reports.hear(code, start + Duration::from_secs(3_600 + 601)), Some(0));
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
