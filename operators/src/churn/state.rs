//! What is kept of a customer's churn: what was told last.

use super::figures::Figures;
use super::on_timer::next_day;
use super::{Rules, Tier};

/// What was told last, and when there is something to tell next: 24 bytes. Everything else is computed from the orders.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Emitted {
    /// The probability told.
    pub p_active_90d: f64,
    /// The day it was computed for.
    pub day: i32,
    /// When this day ends there is something to tell; `None` for never.
    pub due_day: Option<i32>,
    /// The tier told.
    pub tier: Tier,
}

impl Emitted {
    /// What telling these figures leaves behind.
    pub fn of(figures: &Figures, rules: &Rules) -> Self {
        let told =
            Self { p_active_90d: figures.p_active[1], day: figures.as_of.day, due_day: None, tier: figures.tier };
        Self { due_day: next_day(&told, &figures.purchase_days, rules), ..told }
    }
}
