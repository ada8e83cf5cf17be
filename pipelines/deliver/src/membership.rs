//! The deliverer and its group: joining, being fenced, waiting for a log in trouble.

use std::collections::VecDeque;

use millstream_schemas::Rejected;
use millstream_transports::{Member, MemberConfig, Transport, TransportError};

use crate::config::DeliverConfig;
use crate::deliverer::Deliverer;
use crate::error::DeliverError;
use crate::routes::Route;
use crate::sink::Sink;

/// So many fencings within this time, in milliseconds, are no accident: somebody else uses the same name.
const FENCINGS: usize = 10;
const WITHIN_MS: u64 = 60_000;
/// Longest wait for a log in trouble, in milliseconds: so late is its return noticed.
const LOG_WAIT_MS: u64 = 2_000;

/// When this member was fenced, the latest times.
#[derive(Debug, Default)]
pub(crate) struct Fencings(VecDeque<u64>);

impl Fencings {
    /// Takes note of one at this monotonic time. True where they are so many that a second process of the same name is at work.
    fn add(&mut self, now_ms: u64) -> bool {
        self.0.push_back(now_ms);
        while self.0.len() > FENCINGS {
            self.0.pop_front();
        }
        self.0.len() == FENCINGS && self.0.front().is_some_and(|first| now_ms.saturating_sub(*first) <= WITHIN_MS)
    }
}

impl<S: Sink> Deliverer<S> {
    /// Leaves the log alone for a moment, longer each time.
    pub(crate) fn wait_for_log(&mut self, why: &str) {
        self.log_failures = self.log_failures.saturating_add(1);
        self.stats.log_retries += 1;
        let doublings = self.log_failures.saturating_sub(1).min(10);
        let wait_ms = self.config.min_backoff_ms.saturating_mul(1 << doublings).min(LOG_WAIT_MS);
        // Said at once, and then ever more rarely: an outage must not flood the log.
        if self.log_failures.is_power_of_two() {
            let (group, attempt) = (&self.config.group, self.log_failures);
            tracing::warn!(group, why, attempt, "the log is in trouble; trying again");
        }
        self.log_retry_ms = self.monotonic_ms() + wait_ms;
    }

    /// Something went through: the log answers.
    pub(crate) fn log_answers(&mut self) {
        if self.log_failures > 0 {
            tracing::info!(group = self.config.group, attempts = self.log_failures, "the log answers again");
            self.log_failures = 0;
        }
    }

    /// Trouble that may pass is waited out; a member that was fenced joins anew; the rest ends the deliverer.
    pub(crate) fn log_trouble(&mut self, error: TransportError) -> Result<(), DeliverError> {
        match error {
            TransportError::Unavailable(why) => {
                self.wait_for_log(&why);
                Ok(())
            }
            TransportError::Fenced(why) => self.rejoin(&why),
            source => Err(self.transport_error(source)),
        }
    }

    /// Forgets everything that was owned and joins as a new member.
    pub(crate) fn rejoin(&mut self, why: &str) -> Result<(), DeliverError> {
        tracing::warn!(group = self.config.group, why, "fenced; joining anew");
        self.lanes.clear();
        self.starting.clear();
        self.stats.rejoins += 1;
        self.must_rejoin = true;
        if self.fencings.add(self.monotonic_ms()) {
            return Err(DeliverError::SameInstance {
                group: self.config.group.clone(),
                instance: self.config.instance_id.clone(),
                fencings: FENCINGS,
                seconds: WITHIN_MS / 1_000,
                why: why.to_owned(),
            });
        }
        self.try_rejoin().map(|_| ())
    }

    pub(crate) fn try_rejoin(&mut self) -> Result<bool, DeliverError> {
        match join(&*self.transport, &self.config, &self.routes) {
            Ok(member) => {
                self.member = member;
                (self.must_rejoin, self.joined) = (false, false);
                Ok(true)
            }
            Err(TransportError::Unavailable(why) | TransportError::Fenced(why)) => {
                self.wait_for_log(&why);
                Ok(false)
            }
            Err(source) => Err(self.transport_error(source)),
        }
    }
}

/// Joins the group as this deliverer's member.
pub(crate) fn join(
    transport: &dyn Transport,
    config: &DeliverConfig,
    routes: &[Route],
) -> Result<Box<dyn Member>, TransportError> {
    transport.member(MemberConfig {
        group: config.group.clone(),
        instance_id: config.instance_id.clone(),
        inputs: routes.iter().map(|route| route.topic.clone()).collect(),
        outputs: vec![format!("{}{}", config.topic_prefix, Rejected::TOPIC)],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_fencings_in_a_short_time_are_no_accident() {
        let mut fencings = Fencings::default();
        assert!(!(0..9).any(|n| fencings.add(n * 1_000)));
        assert!(fencings.add(9_000));
        // The same number, spread over hours.
        let mut fencings = Fencings::default();
        assert!(!(0..100).any(|n| fencings.add(n * 60_000)));
    }
}
