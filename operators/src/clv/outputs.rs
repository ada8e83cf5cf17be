//! The record.

use millstream_schemas::{Clv, purposes};

use super::figures::Figures;
use super::realised::Window;
use super::{Rules, Tier};
use crate::buyer::Buyer;
use crate::core::{Context, Sink};
use crate::customer::{Customer, NO_HAND_OVERS};

/// Emits a value.
pub fn emit(
    figures: &Figures,
    buyer: &Buyer,
    customer: &Customer<'_>,
    rules: &Rules,
    cx: &Context<'_>,
    sink: &mut impl Sink,
) {
    let (consent, is_bot) = purposes_of(buyer);
    let known = &figures.realised;
    let [trailing_30d, trailing_90d, trailing_365d] = known.trailing;
    let [first_30d, first_90d, first_365d] = known.since_first;
    let revenue = |window: Option<Window>| window.map(|window| window.revenue_minor);
    let margin = |window: Option<Window>| window.and_then(|window| window.margin_minor);
    let clv = |at: usize| figures.predicted.and_then(|predicted| predicted.clv_minor.get(at).copied());
    let recency = known.last_day.map(|day| i64::from(figures.as_of.day.saturating_sub(day)));
    write(
        Clv {
            event_time: cx.event_time_ms,
            consent,
            is_bot,
            scored_at: figures.as_of.ms,
            orders: i64::from(known.orders),
            orders_without_rate: i64::from(known.orders_without_rate),
            refunds_without_rate: i64::from(known.refunds_without_rate),
            revenue_minor: known.ever.revenue_minor,
            unmatched_refunds_minor: known.unmatched_refunds_minor,
            margin_minor: known.ever.margin_minor,
            revenue_30d_minor: trailing_30d.revenue_minor,
            margin_30d_minor: trailing_30d.margin_minor,
            revenue_90d_minor: trailing_90d.revenue_minor,
            margin_90d_minor: trailing_90d.margin_minor,
            revenue_365d_minor: trailing_365d.revenue_minor,
            margin_365d_minor: trailing_365d.margin_minor,
            first_30d_revenue_minor: revenue(first_30d),
            first_30d_margin_minor: margin(first_30d),
            first_90d_revenue_minor: revenue(first_90d),
            first_90d_margin_minor: margin(first_90d),
            first_365d_revenue_minor: revenue(first_365d),
            first_365d_margin_minor: margin(first_365d),
            clv_30d_minor: clv(0),
            clv_90d_minor: clv(1),
            clv_365d_minor: clv(2),
            recency_days: recency,
            purchase_days: i64::from(known.purchase_days),
            mean_order_day_minor: known.mean_day_minor(),
            first_order_at: known.first_order_ms,
            last_order_at: known.last_order_ms,
            tier: figures.tier.as_str(),
            ..Clv::default()
        },
        customer,
        rules,
        cx,
        sink,
    );
}

/// Takes back what was told of a customer of whom no order or refund is left.
pub(super) fn retract(customer: &Customer<'_>, rules: &Rules, cx: &Context<'_>, sink: &mut impl Sink) {
    let nothing = Clv {
        retracted: true,
        // Nothing is left that could forbid a purpose; and who was told of the row before must learn that it has ceased.
        consent: purposes::ALL,
        event_time: cx.event_time_ms,
        scored_at: cx.event_time_ms,
        tier: Tier::None.as_str(),
        ..Clv::default()
    };
    write(nothing, customer, rules, cx, sink);
}

fn write(record: Clv<'_>, customer: &Customer<'_>, rules: &Rules, cx: &Context<'_>, sink: &mut impl Sink) {
    let revision = cx.revision(NO_HAND_OVERS);
    sink.clv(&Clv {
        site: customer.site,
        person: customer.key.id,
        revision,
        idempotency_key: customer.key.idempotency_key(Clv::TOPIC, revision),
        source_event: cx.source_event,
        watermark: cx.watermark_column_ms(),
        user_id: customer.user_id,
        currency: &rules.currency,
        role: if rules.model.is_built_in() { "fallback" } else { "champion" },
        model: if rules.model.spending().is_some() { "bg_nbd+gamma_gamma" } else { "bg_nbd+mean" },
        model_version: rules.model.version(),
        ..record
    });
}

/// The purposes that all orders and refunds had, and whether one of them is suspected to be automated.
fn purposes_of(buyer: &Buyer) -> (i32, bool) {
    let orders = buyer.orders.iter().map(|order| (order.consent, order.is_bot));
    let refunds = buyer.refunds.iter().map(|refund| (refund.consent, refund.is_bot));
    let past = (buyer.past.orders > 0).then_some((buyer.past.consent, buyer.past.is_bot));
    let all = orders.chain(refunds).chain(past);
    let (consent, is_bot) = all.fold((u8::MAX, false), |(all, any), (consent, is_bot)| (all & consent, any | is_bot));
    (i32::from(consent) & purposes::ALL, is_bot)
}
