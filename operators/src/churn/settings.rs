//! What a shop may set for churn.

use serde::Deserialize;

/// When a customer is in which tier, and when a change is worth telling.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChurnSettings {
    /// `p_active_90d` of the tier *active*, at least; 0.5 by default.
    pub active_at_least: f64,
    /// Of the tier *cooling*; 0.25 by default.
    pub cooling_at_least: f64,
    /// Of the tier *at_risk*; 0.1 by default. Below it a customer is *lost*.
    pub at_risk_at_least: f64,
    /// A timer tells of a `p_active_90d` that has fallen by this much since it was last told, 0.01 to 1; 0.1 by default.
    pub difference: f64,
}

// All of them are numbers: `problem` refuses others.
impl Eq for ChurnSettings {}

impl Default for ChurnSettings {
    fn default() -> Self {
        Self { active_at_least: 0.5, cooling_at_least: 0.25, at_risk_at_least: 0.1, difference: 0.1 }
    }
}

impl ChurnSettings {
    /// What is out of range: the setting, its value, and what it may be.
    pub(crate) fn problem(&self) -> Option<(&'static str, String, &'static str)> {
        let falling = [1.0, self.active_at_least, self.cooling_at_least, self.at_risk_at_least, 0.0];
        let sorted = falling.windows(2).all(|pair| matches!(pair, [higher, lower] if higher >= lower));
        if !sorted {
            let value = format!("{}, {}, {}", self.active_at_least, self.cooling_at_least, self.at_risk_at_least);
            return Some((
                "churn",
                value,
                "active_at_least, cooling_at_least and at_risk_at_least from 1 to 0, falling",
            ));
        }
        (!(0.01..=1.0).contains(&self.difference))
            .then(|| ("churn.difference", self.difference.to_string(), "0.01 to 1"))
    }
}
