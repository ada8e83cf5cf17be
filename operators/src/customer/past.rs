//! Orders and refunds that nothing can revise any more become sums.

use super::purchase_days::may_score;
use super::site_days::SiteDays;
use crate::buyer::{Bought, Past, Returned};

/// Days of the value windows.
pub const WINDOW_DAYS: [i32; 3] = [30, 90, 365];

/// The value of one order in the site's reporting currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Worth {
    /// Revenue less refunds, minor units.
    pub net_minor: i64,
    /// Cost, minor units; `None` where it is not known.
    pub cost_minor: Option<i64>,
}

/// What an order is worth; `None` without a rate. Refunds and cost convert at the order's own rate.
pub(crate) fn worth(order: &Bought) -> Option<Worth> {
    let net_minor = order.net_reporting_minor()?;
    let (from, to) = (order.amount_minor, order.reporting_amount_minor?);
    Some(Worth { net_minor, cost_minor: order.cost_minor.and_then(|cost| at_rate(cost, to, from)) })
}

/// `minor` × `to` / `from`, rounded down. An order of nothing has no rate, unless it is in the reporting currency or cost nothing.
fn at_rate(minor: i64, to: i64, from: i64) -> Option<i64> {
    if to == from || minor == 0 {
        return Some(minor);
    }
    i64::try_from((i128::from(minor) * i128::from(to)).checked_div_euclid(i128::from(from))?).ok()
}

/// Whether `day` is one of the `length` days that begin with `first_day`.
fn within(day: i32, first_day: i32, length: i32) -> bool {
    day < first_day.saturating_add(length)
}

/// Takes an order that nothing can revise any more into the sums. The oldest goes first.
pub fn fold_order(past: &mut Past, order: &Bought, days: &SiteDays) {
    let time_ms = order.place.time_ms;
    let day = days.day_of(time_ms);
    if past.orders == 0 {
        (past.first_day, past.first_order_ms, past.consent) = (day, time_ms, order.consent);
    }
    past.consent &= order.consent;
    past.is_bot |= order.is_bot;
    past.orders = past.orders.saturating_add(1);
    if past.days == 0 || day > past.last_day {
        past.days = past.days.saturating_add(1);
        past.last_day = day;
    }
    past.last_order_ms = past.last_order_ms.max(time_ms);
    let worth = worth(order);
    match worth {
        None => past.orders_without_rate = past.orders_without_rate.saturating_add(1),
        Some(worth) => {
            past.revenue_minor = past.revenue_minor.saturating_add(worth.net_minor);
            past.cost_minor = past.cost_minor.saturating_add(worth.cost_minor.unwrap_or(0));
            let without = u32::from(worth.cost_minor.is_none());
            past.orders_without_cost = past.orders_without_cost.saturating_add(without);
            let revenues = past.since_first_minor.iter_mut().zip(&mut past.since_first_cost_minor);
            let sums = revenues.zip(&mut past.since_first_without_cost).zip(WINDOW_DAYS);
            for (((revenue, cost), count), length) in sums {
                if within(day, past.first_day, length) {
                    *revenue = revenue.saturating_add(worth.net_minor);
                    *cost = cost.saturating_add(worth.cost_minor.unwrap_or(0));
                    *count = count.saturating_add(without);
                }
            }
        }
    }
    if may_score(order) {
        fold_scored(past, day, worth);
    }
}

fn fold_scored(past: &mut Past, day: i32, worth: Option<Worth>) {
    let scored = &mut past.scored;
    if scored.days == 0 {
        scored.first_day = day;
    }
    if scored.days == 0 || day > scored.last_day {
        scored.days = scored.days.saturating_add(1);
        scored.last_day = day;
    }
    let Some(worth) = worth else { return };
    if day == scored.first_day {
        scored.first_day_orders = scored.first_day_orders.saturating_add(1);
        scored.first_day_minor = scored.first_day_minor.saturating_add(worth.net_minor);
        return;
    }
    if scored.repeat_days == 0 || day > scored.last_repeat_day {
        scored.repeat_days = scored.repeat_days.saturating_add(1);
        scored.last_repeat_day = day;
    }
    scored.repeat_minor = scored.repeat_minor.saturating_add(worth.net_minor);
}

/// Takes a refund that nothing can revise any more into the sums, after the orders that are older.
pub fn fold_refund(past: &mut Past, refund: &Returned, days: &SiteDays) {
    let Some(minor) = refund.unmatched_reporting_minor() else {
        past.refunds_without_rate = past.refunds_without_rate.saturating_add(1);
        return;
    };
    past.revenue_minor = past.revenue_minor.saturating_sub(minor);
    past.unmatched_refunds_minor = past.unmatched_refunds_minor.saturating_add(minor);
    let day = days.day_of(refund.place.time_ms);
    // In the order of their places: a refund that goes first came before any order.
    if past.orders > 0 && day >= past.first_day {
        for (revenue, length) in past.since_first_minor.iter_mut().zip(WINDOW_DAYS) {
            if within(day, past.first_day, length) {
                *revenue = revenue.saturating_sub(minor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::at_rate;

    #[test]
    fn cost_converts_at_the_orders_rate() {
        for (minor, to, from, should) in [
            (100, 250, 200, Some(125)),
            (1, 250, 200, Some(1)),
            (-1, 250, 200, Some(-2)),
            (7, 0, 0, Some(7)),
            (7, 5, 0, None),
            (0, 5, 0, Some(0)),
            (i64::MAX, 3, 1, None),
        ] {
            assert_eq!(at_rate(minor, to, from), should, "{minor} × {to} / {from}");
        }
    }
}
