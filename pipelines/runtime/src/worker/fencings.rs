//! What keeps happening. Two processes of one name fence each other for ever: that ends with an error that says so. A log that cannot
//! be reached is said ever more rarely.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Worker, WorkerError};

/// So many fencings within this time are no accident.
const FENCINGS: usize = 10;
const WITHIN: Duration = Duration::from_secs(60);

/// When a worker was fenced, the latest times on the monotonic clock, and how often in a row the log could not be reached.
#[derive(Debug, Default)]
pub(super) struct Fencings {
    times: VecDeque<Duration>,
    outage: u32,
}

impl Fencings {
    /// The log answered.
    pub(super) fn outage_is_over(&mut self) {
        self.outage = 0;
    }

    /// Takes note of one. True where they are too many in too short a time.
    fn add(&mut self, now: Duration) -> bool {
        self.times.push_back(now);
        while self.times.len() > FENCINGS {
            self.times.pop_front();
        }
        self.times.len() == FENCINGS && self.times.front().is_some_and(|first| now.saturating_sub(*first) <= WITHIN)
    }
}

impl Worker {
    /// Takes note that the log could not be reached. Said at once, and then ever more rarely: an outage must not flood the log.
    pub(super) fn note_outage(&mut self, why: &str, then: &str) {
        self.fencings.outage = self.fencings.outage.saturating_add(1);
        let attempt = self.fencings.outage;
        if attempt.is_power_of_two() {
            tracing::warn!(stage = self.factory.name(), why, attempt, "{then}");
        }
    }

    /// Takes note that somebody else took this worker's place.
    pub(super) fn note_fencing(&mut self, why: &str) -> Result<(), WorkerError> {
        if !self.fencings.add(self.clock.monotonic()) {
            return Ok(());
        }
        Err(WorkerError::SameInstance {
            stage: self.factory.name(),
            instance: self.config.instance_id.clone(),
            fencings: FENCINGS,
            seconds: WITHIN.as_secs(),
            why: why.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_in_a_short_time_are_no_accident() {
        let mut fencings = Fencings::default();
        assert!(!(0..9).any(|n| fencings.add(Duration::from_secs(n))));
        assert!(fencings.add(Duration::from_secs(9)));
        let mut rare = Fencings::default();
        assert!(!(0..100).any(|n| rare.add(Duration::from_secs(n * 30))));
    }
}
