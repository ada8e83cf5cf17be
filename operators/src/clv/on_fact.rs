//! Something about the customer's orders or refunds has changed.

use super::figures::{Figures, figures};
use super::on_timer::walk;
use super::{Emitted, Rules, outputs};
use crate::buyer::Buyer;
use crate::core::{Context, Sink};
use crate::customer::{AsOf, Customer, last_ended_day};

/// Tells the value of a customer whose orders or refunds have changed: as of the latest of them, or as of the last timer since.
/// Where none is left, what was told is retracted.
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
    let until_day = last_ended_day(&rules.days, cx.watermark_ms).unwrap_or(first.as_of.last_full_day);
    let (figures, told) = walk(first, None, until_day, buyer, rules);
    *emitted = Some(told);
    outputs::emit(&figures, buyer, customer, rules, cx, sink);
}

fn figures_of_latest(buyer: &Buyer, rules: &Rules) -> Option<Figures> {
    let order_ms = buyer.orders.last().map(|order| order.place.time_ms);
    let refund_ms = buyer.refunds.last().map(|refund| refund.place.time_ms);
    let past_ms = buyer.past.until.map(|place| place.time_ms);
    let latest_ms = order_ms.max(refund_ms).max(past_ms)?;
    figures(buyer, AsOf::moment(latest_ms, &rules.days), rules)
}
