//! Something about the customer's orders has changed.

use super::figures::figures;
use super::on_timer::walk;
use super::{Emitted, Rules, outputs};
use crate::buyer::Buyer;
use crate::core::{Context, Sink};
use crate::customer::purchase_days::may_score;
use crate::customer::{AsOf, Customer, last_ended_day};

/// Tells the score of a customer whose orders have changed: as of the latest order that scores may use, or as of the last timer
/// since. Where no such order is left, what was told is retracted.
pub fn on_fact(
    buyer: &Buyer,
    emitted: &mut Option<Emitted>,
    customer: &Customer<'_>,
    rules: &Rules,
    cx: &Context<'_>,
    sink: &mut impl Sink,
) {
    let Some(first) = figures_of_latest(buyer, rules) else {
        if emitted.take().is_some() {
            outputs::retract(customer, rules, cx, sink);
        }
        return;
    };
    let until_day = last_ended_day(&rules.days, cx.watermark_ms).unwrap_or(first.as_of.day);
    let (figures, told) = walk(first, until_day, rules);
    *emitted = Some(told);
    outputs::emit(&figures, buyer, customer, rules, cx, sink);
}

fn figures_of_latest(buyer: &Buyer, rules: &Rules) -> Option<super::Figures> {
    let as_of = match buyer.orders.iter().rev().find(|order| may_score(order)) {
        Some(latest) => AsOf::moment(latest.place.time_ms, &rules.days),
        // Only old ones: since the day of the last, when its own time is forgotten.
        None => AsOf::end_of(buyer.past.scored.last_day, &rules.days),
    };
    figures(buyer, as_of, rules)
}
