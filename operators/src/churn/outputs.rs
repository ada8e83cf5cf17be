//! The record.

use millstream_schemas::{Churn, purposes};

use super::figures::{Figures, p_active_90d};
use super::{Rules, Tier};
use crate::buyer::Buyer;
use crate::core::{Context, Sink};
use crate::customer::purchase_days::may_score;
use crate::customer::{Customer, NO_HAND_OVERS, PurchaseDays};

/// Only what moves the probability by this much is a reason.
const WORTH_NAMING: f64 = 0.005;

/// Emits a score.
pub fn emit(
    figures: &Figures,
    buyer: &Buyer,
    customer: &Customer<'_>,
    rules: &Rules,
    cx: &Context<'_>,
    sink: &mut impl Sink,
) {
    let (consent, is_bot) = purposes_of(buyer);
    let days = &figures.purchase_days;
    let [p_active_30d, p_active_90d, p_active_365d] = figures.p_active;
    let [expected_orders_30d, expected_orders_90d, expected_orders_365d] = figures.expected_orders;
    write(
        Churn {
            event_time: cx.event_time_ms,
            consent,
            is_bot,
            scored_at: figures.as_of.ms,
            purchase_days: i64::from(days.days),
            repeat_days: i64::from(days.days.saturating_sub(1)),
            first_order_at: rules.days.midnight_ms(days.first_day),
            last_order_at: rules.days.midnight_ms(days.last_day),
            p_active_30d,
            p_active_90d,
            p_active_365d,
            expected_orders_30d,
            expected_orders_90d,
            expected_orders_365d,
            tier: figures.tier.as_str(),
            reasons: reasons(figures, rules),
            ..Churn::default()
        },
        customer,
        rules,
        cx,
        sink,
    );
}

/// Takes back what was told of a customer of whom no order is left that scores may use.
pub(super) fn retract(customer: &Customer<'_>, rules: &Rules, cx: &Context<'_>, sink: &mut impl Sink) {
    let nothing = Churn {
        retracted: true,
        // Nothing is left that could forbid a purpose; and who was told of the row before must learn that it has ceased.
        consent: purposes::ALL,
        event_time: cx.event_time_ms,
        scored_at: cx.event_time_ms,
        tier: Tier::Lost.as_str(),
        ..Churn::default()
    };
    write(nothing, customer, rules, cx, sink);
}

fn write(record: Churn<'_>, customer: &Customer<'_>, rules: &Rules, cx: &Context<'_>, sink: &mut impl Sink) {
    let revision = cx.revision(NO_HAND_OVERS);
    sink.churn(&Churn {
        site: customer.site,
        person: customer.key.id,
        revision,
        idempotency_key: customer.key.idempotency_key(Churn::TOPIC, revision),
        source_event: cx.source_event,
        watermark: cx.watermark_column_ms(),
        user_id: customer.user_id,
        role: if rules.model.is_built_in() { "fallback" } else { "champion" },
        model: "bg_nbd",
        model_version: rules.model.version(),
        ..record
    });
}

/// The purposes that all orders had which the score uses, and whether one of them is suspected to be automated.
fn purposes_of(buyer: &Buyer) -> (i32, bool) {
    let used = || buyer.orders.iter().filter(|order| may_score(order));
    let all = used().fold(u8::MAX, |all, order| all & order.consent);
    let past = i32::from(buyer.past.consent) | purposes::PERSONALIZATION;
    let past = if buyer.past.scored.days > 0 { past } else { purposes::ALL };
    (i32::from(all) & past & purposes::ALL, buyer.past.is_bot || used().any(|order| order.is_bot))
}

/// What moved `p_active_90d` most, against a customer who has just bought for the first time: the time since the last purchase, and
/// how often they came back.
fn reasons(figures: &Figures, rules: &Rules) -> Vec<&'static str> {
    let days = &figures.purchase_days;
    let just_bought = p_active_90d(days, days.last_day, rules);
    let newcomer = PurchaseDays { days: 1, first_day: days.last_day, last_day: days.last_day };
    let idle = just_bought - figures.p_active[1];
    let habit = just_bought - p_active_90d(&newcomer, days.last_day, rules);
    let habit_name = match (days.days, habit >= 0.0) {
        (1, _) => "single_purchase",
        (_, true) => "repeat_purchases",
        (_, false) => "rare_purchases",
    };
    let mut all = [("days_since_last_purchase", idle), (habit_name, habit.abs())];
    all.sort_by(|one, other| other.1.total_cmp(&one.1));
    let weighty = all.iter().filter(|(name, by)| *by >= WORTH_NAMING || *name == "single_purchase");
    weighty.map(|(name, _)| *name).collect()
}
