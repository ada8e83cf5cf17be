//! What a simulation is made of.

/// A simulation. Two that are equal give the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimConfig {
    /// Visitors, robots apart.
    pub people: u32,
    /// Days.
    pub days: u32,
    /// What all chance comes from.
    pub seed: u64,
    /// Midnight (UTC) of the first day, milliseconds since the epoch.
    pub start_ms: i64,
    /// The shop: what the write key names; ids are made of it too.
    pub site: String,
    /// Events shorter than this are filled up by a property; 0 leaves them as they are. For benchmarks that want events of one size.
    pub pad_to_bytes: usize,
    /// Whether robots, duplicates, bad input, wrong clocks, disorder and lateness are played.
    pub noise: bool,
    /// Whether every session and order is kept in the ground truth (about 100 bytes a session); totals always are.
    pub keep_truth: bool,
}

impl Default for SimConfig {
    /// Two thousand people for a week from 2026-06-01.
    fn default() -> Self {
        Self {
            people: 2_000,
            days: 7,
            seed: 1,
            start_ms: 1_780_272_000_000,
            site: "demo".to_owned(),
            pad_to_bytes: 0,
            noise: true,
            keep_truth: true,
        }
    }
}

/// Seeds of traffic that models are trained, calibrated and evaluated on. A demonstration refuses them: scores of traffic that a
/// model has seen say nothing.
pub const TRAINING_SEEDS: std::ops::RangeInclusive<u64> = 9_000_000..=9_001_000;

/// A simulation that cannot be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}: {wanted}")]
pub struct ConfigError {
    /// The field of [`SimConfig`].
    pub field: &'static str,
    /// Its value.
    pub value: String,
    /// What it may be.
    pub wanted: &'static str,
}

/// Milliseconds of a day.
pub(crate) const DAY_MS: i64 = 86_400_000;
/// Milliseconds of an hour.
pub(crate) const HOUR_MS: i64 = 3_600_000;
const MAX_PEOPLE: u32 = 50_000_000;
const MAX_DAYS: u32 = 3_660;

impl SimConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let wrong = |field, value: String, wanted| Err(ConfigError { field, value, wanted });
        if !(1..=MAX_PEOPLE).contains(&self.people) {
            return wrong("people", self.people.to_string(), "1 to 50,000,000 are possible");
        }
        if !(1..=MAX_DAYS).contains(&self.days) {
            return wrong("days", self.days.to_string(), "1 to 3,660 are possible");
        }
        if self.start_ms % DAY_MS != 0 || !(0..=4_102_444_800_000).contains(&self.start_ms) {
            return wrong(
                "start_ms",
                self.start_ms.to_string(),
                "midnight UTC of a day from 1970 to 2099, in milliseconds",
            );
        }
        if self.pad_to_bytes > 16_000 {
            return wrong("pad_to_bytes", self.pad_to_bytes.to_string(), "at most 16,000: properties have a limit");
        }
        Ok(())
    }
}
