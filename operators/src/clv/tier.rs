//! Tiers.

use super::settings::ClvSettings;

/// What a customer is expected to bring within a year, as a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Much.
    High,
    /// Something.
    Medium,
    /// Little.
    Low,
    /// Hardly anything, or no prediction.
    None,
}

impl Tier {
    /// The tier of a predicted revenue of 365 days, minor units.
    pub fn of(clv_365d_minor: i64, settings: &ClvSettings) -> Self {
        if clv_365d_minor >= settings.high_minor {
            Self::High
        } else if clv_365d_minor >= settings.medium_minor {
            Self::Medium
        } else if clv_365d_minor >= settings.low_minor {
            Self::Low
        } else {
            Self::None
        }
    }

    /// As records call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::None => "none",
        }
    }
}
