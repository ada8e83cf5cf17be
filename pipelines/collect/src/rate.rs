//! A token bucket a site.

use std::time::Duration;

use parking_lot::Mutex;

#[derive(Debug)]
struct Level {
    tokens: f64,
    at: Duration,
}

/// Sustained events per second with a burst of two seconds.
#[derive(Debug)]
pub(crate) struct Bucket {
    per_second: f64,
    level: Mutex<Level>,
}

impl Bucket {
    pub fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second);
        Self { per_second, level: Mutex::new(Level { tokens: per_second * 2.0, at: Duration::ZERO }) }
    }

    /// Takes `events` tokens at monotonic time `now`, or none.
    pub fn take(&self, events: usize, now: Duration) -> bool {
        let mut level = self.level.lock();
        let elapsed = now.saturating_sub(level.at).as_secs_f64();
        level.tokens = (level.tokens + elapsed * self.per_second).min(self.per_second * 2.0);
        level.at = now;
        let wanted = events as f64;
        if level.tokens < wanted {
            return false;
        }
        level.tokens -= wanted;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Bucket;

    #[test]
    fn a_burst_of_two_seconds_then_the_rate() {
        let bucket = Bucket::new(10);
        assert!(bucket.take(20, Duration::from_secs(0)));
        assert!(!bucket.take(1, Duration::from_secs(0)));
        assert!(bucket.take(10, Duration::from_secs(1)));
        assert!(!bucket.take(1, Duration::from_secs(1)));
    }
}
