//! The next day at whose end there is something to tell.

use smallvec::SmallVec;

use super::figures::Figures;
use super::predicted::clv_minor;
use super::{Emitted, Rules, Tier};
use crate::buyer::Buyer;
use crate::churn::on_timer::first_day;
use crate::customer::WINDOW_DAYS;
use crate::customer::past::worth;

/// The first day after what was told whose end changes the tier, a window or the prediction by enough.
pub(super) fn next_day(told: &Emitted, figures: &Figures, buyer: &Buyer, rules: &Rules) -> Option<i32> {
    let by_window = window_changes(told, figures, buyer, rules);
    let by_age = figures.realised.first_day.and_then(|first| {
        WINDOW_DAYS.into_iter().map(|length| first.saturating_add(length - 1)).find(|day| *day > told.last_full_day)
    });
    let known = by_window.into_iter().chain(by_age).min();
    // A prediction costs most: it is looked at only where nothing else is due before.
    prediction_falls(told, figures, known.unwrap_or(i32::MAX), rules).or(known)
}

/// Without a purchase the prediction only falls. The day it has, if it is before `before`.
fn prediction_falls(told: &Emitted, figures: &Figures, before: i32, rules: &Rules) -> Option<i32> {
    let predicted = figures.predicted.as_ref()?;
    if told.clv_365d_minor <= 0 {
        return None;
    }
    let enough = rules.settings.share_of(told.clv_365d_at_first_minor);
    first_day(told.day, before, |day| {
        let minor = clv_minor(&predicted.purchase_days, predicted.day_minor, day, 2, rules);
        Tier::of(minor, &rules.settings) != told.tier || (told.clv_365d_minor.saturating_sub(minor)) as f64 >= enough
    })
}

/// Orders and unmatched refunds enter the trailing windows when their day is over, and leave them.
fn window_changes(told: &Emitted, figures: &Figures, buyer: &Buyer, rules: &Rules) -> Option<i32> {
    // (day, window, by how much)
    let mut steps: SmallVec<[(i32, usize, i64); 16]> = SmallVec::new();
    let mut post = |day: i32, minor: i64| {
        if minor == 0 || day > figures.as_of.day {
            return;
        }
        for (at, length) in WINDOW_DAYS.into_iter().enumerate() {
            if day > told.last_full_day {
                steps.push((day, at, minor));
            }
            let leaves = day.saturating_add(length);
            if leaves > told.last_full_day {
                steps.push((leaves, at, minor.saturating_neg()));
            }
        }
    };
    for order in &buyer.orders {
        post(rules.days.day_of(order.place.time_ms), worth(order).map_or(0, |worth| worth.net_minor));
    }
    for refund in &buyer.refunds {
        let minor = refund.unmatched_reporting_minor().unwrap_or(0);
        post(rules.days.day_of(refund.place.time_ms), minor.saturating_neg());
    }
    steps.sort_unstable();
    let enough = rules.settings.share_of(figures.realised.ever.revenue_minor);
    let mut now = told.trailing_minor;
    let mut steps = steps.into_iter().peekable();
    while let Some((day, at, minor)) = steps.next() {
        if let Some(sum) = now.get_mut(at) {
            *sum = sum.saturating_add(minor);
        }
        if steps.peek().is_some_and(|next| next.0 == day) {
            continue;
        }
        let changed = now.iter().zip(&told.trailing_minor);
        if changed.into_iter().any(|(now, then)| now.saturating_sub(*then).saturating_abs() as f64 >= enough) {
            return Some(day);
        }
    }
    None
}
