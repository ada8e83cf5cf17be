//! What is kept of a customer's value: what was told last.

use super::Tier;
use super::figures::Figures;

/// What was told last, and when there is something to tell next: 72 bytes. Everything else is computed from the orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Emitted {
    /// Net revenue of the trailing windows, minor units.
    pub trailing_minor: [i64; 3],
    /// Predicted revenue of 365 days, minor units; 0 without a prediction.
    pub clv_365d_minor: i64,
    /// What that was at the latest order or refund: the difference is a share of it.
    pub clv_365d_at_first_minor: i64,
    /// The day purchases were known of.
    pub day: i32,
    /// The last day of the trailing windows.
    pub last_full_day: i32,
    /// When this day ends there is something to tell; `None` for never.
    pub due_day: Option<i32>,
    /// The tier told.
    pub tier: Tier,
}

impl Emitted {
    /// What telling these figures leaves behind, the next due day apart. `before` is what was told before by the same walk.
    pub(super) fn of(figures: &Figures, before: Option<&Self>) -> Self {
        let clv_365d_minor = figures.predicted.map_or(0, |predicted| predicted.clv_minor[2]);
        Self {
            trailing_minor: figures.realised.trailing.map(|window| window.revenue_minor),
            clv_365d_minor,
            clv_365d_at_first_minor: before.map_or(clv_365d_minor, |before| before.clv_365d_at_first_minor),
            day: figures.as_of.day,
            last_full_day: figures.as_of.last_full_day,
            due_day: None,
            tier: figures.tier,
        }
    }
}
