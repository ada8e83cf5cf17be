//! Tiers.

use super::settings::ChurnSettings;

/// How likely a customer is to buy within 90 days, as a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Likely.
    Active,
    /// Less likely.
    Cooling,
    /// Unlikely.
    AtRisk,
    /// Hardly any more.
    Lost,
}

impl Tier {
    /// The tier of a `p_active_90d`.
    pub fn of(p_active_90d: f64, settings: &ChurnSettings) -> Self {
        if p_active_90d >= settings.active_at_least {
            Self::Active
        } else if p_active_90d >= settings.cooling_at_least {
            Self::Cooling
        } else if p_active_90d >= settings.at_risk_at_least {
            Self::AtRisk
        } else {
            Self::Lost
        }
    }

    /// As records call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Cooling => "cooling",
            Self::AtRisk => "at_risk",
            Self::Lost => "lost",
        }
    }
}
