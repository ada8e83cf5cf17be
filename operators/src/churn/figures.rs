//! A customer's score at a moment.

use super::{Rules, Tier};
use crate::buyer::Buyer;
use crate::customer::{AsOf, PurchaseDays};
use millstream_scoring::btyd::DAYS_PER_WEEK;

/// Days ahead.
pub const HORIZON_DAYS: [i32; 3] = [30, 90, 365];

/// A customer's score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// The moment.
    pub as_of: AsOf,
    /// The days it was computed from.
    pub purchase_days: PurchaseDays,
    /// Probability of at least one purchase day in the 30, 90 and 365 days ahead.
    pub p_active: [f64; 3],
    /// Expected purchase days in them.
    pub expected_orders: [f64; 3],
    /// The tier.
    pub tier: Tier,
}

/// The score of a customer as of a moment; `None` without an order that scores may use.
pub fn figures(buyer: &Buyer, as_of: AsOf, rules: &Rules) -> Option<Figures> {
    PurchaseDays::of(buyer, &as_of, &rules.days).map(|days| score(days, as_of, rules))
}

pub(super) fn score(purchase_days: PurchaseDays, as_of: AsOf, rules: &Rules) -> Figures {
    let model = rules.model.purchases();
    let history = purchase_days.history(as_of.day);
    let weeks = HORIZON_DAYS.map(|days| f64::from(days) / DAYS_PER_WEEK);
    let p_active = weeks.map(|weeks| model.p_active(&history, weeks));
    Figures {
        as_of,
        purchase_days,
        p_active,
        expected_orders: weeks.map(|weeks| model.expected(&history, weeks)),
        tier: Tier::of(p_active[1], &rules.settings),
    }
}

/// The probability that decides the tier, on `day`.
pub(super) fn p_active_90d(purchase_days: &PurchaseDays, day: i32, rules: &Rules) -> f64 {
    rules.model.purchases().p_active(&purchase_days.history(day), f64::from(HORIZON_DAYS[1]) / DAYS_PER_WEEK)
}
