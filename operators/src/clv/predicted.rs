//! What a customer is expected to be worth.

use millstream_scoring::btyd::DAYS_PER_WEEK;

use super::Rules;
use crate::buyer::Buyer;
use crate::customer::past::worth;
use crate::customer::purchase_days::may_score;
use crate::customer::{AsOf, PurchaseDays, WINDOW_DAYS};

/// The prediction at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Predicted {
    /// The purchase days it is made of.
    pub purchase_days: PurchaseDays,
    /// Expected net revenue of a purchase day, minor units of the reporting currency.
    pub day_minor: f64,
    /// Predicted revenue of the 30, 90 and 365 days ahead, minor units.
    pub clv_minor: [i64; 3],
}

/// What is expected at `as_of`; `None` without an order that scores may use, or where none of those has a rate.
pub(super) fn predicted(buyer: &Buyer, as_of: &AsOf, rules: &Rules) -> Option<Predicted> {
    let purchase_days = PurchaseDays::of(buyer, as_of, &rules.days)?;
    let day_minor = spending(buyer, as_of, &purchase_days, rules)?;
    let clv_minor = [0, 1, 2].map(|at| clv_minor(&purchase_days, day_minor, as_of.day, at, rules));
    Some(Predicted { purchase_days, day_minor, clv_minor })
}

/// Predicted revenue of the days ahead of `day`, for the window `at`.
pub(super) fn clv_minor(days: &PurchaseDays, day_minor: f64, day: i32, at: usize, rules: &Rules) -> i64 {
    let weeks = f64::from(WINDOW_DAYS[at]) / DAYS_PER_WEEK;
    let expected = rules.model.purchases().expected(&days.history(day), weeks);
    // A cast from float saturates.
    (expected * day_minor).round() as i64
}

/// Expected net revenue of a purchase day.
fn spending(buyer: &Buyer, as_of: &AsOf, days: &PurchaseDays, rules: &Rules) -> Option<f64> {
    let past = &buyer.past.scored;
    let (mut first_minor, mut first_orders) = (0i64, 0u32);
    if past.days > 0 {
        (first_minor, first_orders) = (past.first_day_minor, past.first_day_orders);
    }
    let (mut repeat_minor, mut repeat_days) = (past.repeat_minor, past.repeat_days);
    let mut last_repeat_day = (past.repeat_days > 0).then_some(past.last_repeat_day);
    for order in buyer.orders.iter().filter(|order| may_score(order)) {
        let day = rules.days.day_of(order.place.time_ms);
        if day > as_of.day {
            break;
        }
        let Some(worth) = worth(order) else { continue };
        if day <= days.first_day {
            first_minor = first_minor.saturating_add(worth.net_minor);
            first_orders = first_orders.saturating_add(1);
            continue;
        }
        repeat_minor = repeat_minor.saturating_add(worth.net_minor);
        if last_repeat_day.is_none_or(|last| day > last) {
            repeat_days = repeat_days.saturating_add(1);
            last_repeat_day = Some(day);
        }
    }
    if first_orders == 0 && repeat_days == 0 {
        return None;
    }
    // Who gave back more than they bought is expected to spend nothing, not less than nothing.
    let mean = |minor: i64, days: u32| minor.max(0) as f64 / f64::from(days.max(1));
    Some(match rules.model.spending() {
        Some(spending) => spending.expected_mean(repeat_days, mean(repeat_minor, repeat_days)),
        None => mean(first_minor.saturating_add(repeat_minor), repeat_days.saturating_add(u32::from(first_orders > 0))),
    })
}
