//! Two processes of one name fence each other for ever: that is noticed, and ends with an error that says so.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Worker, WorkerError};

/// So many fencings within this time are no accident.
const FENCINGS: usize = 10;
const WITHIN: Duration = Duration::from_secs(60);

/// When a worker was fenced, the latest times on the monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Fencings(VecDeque<Duration>);

impl Fencings {
    /// Takes note of one. True where they are too many in too short a time.
    fn add(&mut self, now: Duration) -> bool {
        self.0.push_back(now);
        while self.0.len() > FENCINGS {
            self.0.pop_front();
        }
        self.0.len() == FENCINGS && self.0.front().is_some_and(|first| now.saturating_sub(*first) <= WITHIN)
    }
}

impl Worker {
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
