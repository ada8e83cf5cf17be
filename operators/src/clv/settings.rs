//! What a shop may set for customer value.

use serde::Deserialize;

/// When a customer is in which tier, and when a change is worth telling.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClvSettings {
    /// Predicted revenue of 365 days of the tier *high*, at least, minor units of the reporting currency; 20,000 by default.
    pub high_minor: i64,
    /// Of the tier *medium*; 5,000 by default.
    pub medium_minor: i64,
    /// Of the tier *low*; 1,000 by default. Below it the tier is *none*.
    pub low_minor: i64,
    /// A timer tells of a change by this share since it was last told, 0.01 to 1; 0.1 by default. Of the prediction the share of what
    /// it was at the latest order, of a trailing window the share of the revenue ever.
    pub difference: f64,
}

// All of them are numbers: `problem` refuses others.
impl Eq for ClvSettings {}

impl Default for ClvSettings {
    fn default() -> Self {
        Self { high_minor: 20_000, medium_minor: 5_000, low_minor: 1_000, difference: 0.1 }
    }
}

impl ClvSettings {
    /// What is out of range: the setting, its value, and what it may be.
    pub(crate) fn problem(&self) -> Option<(&'static str, String, &'static str)> {
        if !(self.high_minor >= self.medium_minor && self.medium_minor >= self.low_minor && self.low_minor >= 0) {
            let value = format!("{}, {}, {}", self.high_minor, self.medium_minor, self.low_minor);
            return Some(("clv", value, "high_minor, medium_minor and low_minor, falling, at least 0"));
        }
        (!(0.01..=1.0).contains(&self.difference)).then(|| ("clv.difference", self.difference.to_string(), "0.01 to 1"))
    }

    /// The share of an amount that is a difference; at least one minor unit.
    pub(super) fn share_of(&self, amount_minor: i64) -> f64 {
        (self.difference * amount_minor.saturating_abs() as f64).max(1.0)
    }
}
