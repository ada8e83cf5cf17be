//! Stops a partition of which too much is refused: a bad deployment upstream, not some bad events.
//!
//! It counts records, not time, so that the same input decides the same. It never forgets a record: the input waits in the log.

use millstream_schemas::input::Reason;

/// How many reasons there can be.
const REASONS: usize = Reason::ALL.len();

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerConfig {
    /// Share of a window's records that may be refused, 0 to 1; with 1 it never stops.
    pub rejected_share_max: f64,
    /// Records of a window.
    pub window_records: u32,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self { rejected_share_max: 1.0, window_records: 10_000 }
    }
}

/// The open window of one partition. Small enough to be saved by copying.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Breaker {
    records: u32,
    rejected: u32,
    by_reason: [u32; REASONS],
}

impl Default for Breaker {
    fn default() -> Self {
        Self { records: 0, rejected: 0, by_reason: [0; REASONS] }
    }
}

impl Breaker {
    /// What was committed has passed, whatever was set then: a window that is over its share begins anew.
    pub(crate) fn pass(&mut self, config: &BreakerConfig) {
        if self.is_over(config) {
            *self = Self::default();
        }
    }

    /// Counts one record, and why it was refused where it was. A window that is over its share stays open: it is what the partition
    /// stops for.
    pub(crate) fn count(&mut self, config: &BreakerConfig, refused: Option<Reason>) {
        if self.records >= config.window_records && !self.is_over(config) {
            *self = Self::default();
        }
        self.records = self.records.saturating_add(1);
        if let Some(reason) = refused {
            self.rejected = self.rejected.saturating_add(1);
            if let Some(count) = self.by_reason.get_mut(reason as usize) {
                *count = count.saturating_add(1);
            }
        }
    }

    /// Whether more was refused than a whole window may have.
    fn is_over(&self, config: &BreakerConfig) -> bool {
        config.rejected_share_max < 1.0
            && f64::from(self.rejected) > config.rejected_share_max * f64::from(config.window_records)
    }

    /// Why the partition must stop, in words for the operator.
    pub(crate) fn tripped(&self, config: &BreakerConfig) -> Option<String> {
        if !self.is_over(config) {
            return None;
        }
        let most = Reason::ALL.iter().max_by_key(|reason| self.by_reason.get(**reason as usize));
        let reason = most.map_or("unknown", |reason| reason.as_str());
        let of_it = most.and_then(|reason| self.by_reason.get(*reason as usize)).copied().unwrap_or(0);
        Some(format!(
            "{} of {} records were refused, {of_it} of them as {reason}; more than ingest.rejected_share_max = {} of {} lets pass. \
             See `millstream dlq list`, mend the cause, or raise the share to get past what is there",
            self.rejected, self.records, config.rejected_share_max, config.window_records
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: BreakerConfig = BreakerConfig { rejected_share_max: 0.5, window_records: 100 };

    fn after(config: &BreakerConfig, records: impl Iterator<Item = Option<Reason>>) -> Breaker {
        let mut breaker = Breaker::default();
        records.for_each(|refused| breaker.count(config, refused));
        breaker
    }

    #[test]
    fn it_stops_when_more_than_the_share_of_a_window_is_refused() {
        let bad = |count: usize| {
            let reasons = [Reason::TooLong, Reason::InvalidTime, Reason::InvalidTime];
            (0..count).map(move |at| Some(reasons[at % 3]))
        };
        assert_eq!(after(&HALF, bad(50)).tripped(&HALF), None);
        let why = after(&HALF, bad(51)).tripped(&HALF).unwrap_or_default();
        assert!(why.contains("51 of 51 records were refused, 34 of them as invalid_time"), "{why}");
        // It stays so, whatever comes.
        assert!(after(&HALF, bad(51).chain([None; 500])).tripped(&HALF).is_some());
    }

    #[test]
    fn a_window_that_is_over_begins_anew() {
        let half = (0..1_000).map(|at| (at % 2 == 0).then_some(Reason::TooLong));
        assert_eq!(after(&HALF, half).tripped(&HALF), None);
        let burst = [None; 120].into_iter().chain([Some(Reason::TooLong); 50]);
        assert_eq!(after(&HALF, burst).tripped(&HALF), None);
    }

    #[test]
    fn what_has_passed_does_not_stop_it_later() {
        let mut breaker = after(&HALF, [Some(Reason::TooLong); 60].into_iter());
        breaker.pass(&HALF);
        assert_eq!(breaker.tripped(&HALF), None);
    }

    #[test]
    fn by_default_it_never_stops() {
        let config = BreakerConfig::default();
        assert_eq!(after(&config, [Some(Reason::TooLong); 30_000].into_iter()).tripped(&config), None);
    }
}
