//! The records of credits: what changed, and what ceased.

use std::collections::BTreeMap;

use millstream_schemas::{Attribution, Id, idempotency_key};

use super::Rules;
use super::credit::{Credit, credits};
use super::ledger::Ledger;
use super::touch::clamped;
use crate::buyer::{Bought, Buyer, Changed};
use crate::core::{Context, Sink};
use crate::orders;

/// Whose orders they are.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// The shop.
    pub site: &'a str,
    /// The person.
    pub person: Id,
    /// The user behind the person, once identified.
    pub user_id: Option<&'a str>,
}

/// Emits what a change of touches does to the credits of a person's orders. An order that no changed touch can have led to costs a
/// comparison.
pub fn emit_touch_changes(
    before: &Ledger,
    after: &Ledger,
    orders: &[Bought],
    owner: &Owner<'_>,
    rules: &Rules,
    cx: &Context<'_>,
    sink: &mut impl Sink,
) {
    if orders.is_empty() || before == after {
        return;
    }
    let (old_touches, new_touches) = (before.touches(), after.touches());
    let Some((from_ms, to_ms)) = old_touches.difference(&new_touches) else { return };
    for order in orders.iter().filter(|order| may_lead_to(from_ms, to_ms, order, rules)) {
        let (old_path, new_path) = (old_touches.path(order, rules), new_touches.path(order, rules));
        if old_path != new_path {
            let half_life = rules.half_life;
            let (old, new) = (credits(old_path, order, half_life), credits(new_path, order, half_life));
            emit_difference(&old, &new, owner, cx, sink);
        }
    }
}

/// Emits what a fact did to the credits of the orders that it changed; `buyer` is as it is now. An order that is no longer the
/// person's loses its credits; one that has gone into the past keeps them.
pub fn emit_order_changes(
    changed: &Changed,
    buyer: &Buyer,
    ledger: &Ledger,
    owner: &Owner<'_>,
    rules: &Rules,
    cx: &Context<'_>,
    sink: &mut impl Sink,
) {
    if changed.orders.is_empty() {
        return;
    }
    let touches = ledger.touches();
    for (order_id, before) in &changed.orders {
        let of = |order: &'_ Bought| touches.path(order, rules);
        let old = before.as_ref().map(|order| credits(of(order), order, rules.half_life)).unwrap_or_default();
        let new = buyer.order(order_id).map(|order| credits(of(order), order, rules.half_life)).unwrap_or_default();
        emit_difference(&old, &new, owner, cx, sink);
    }
}

/// Whether a touch between `from_ms` and `to_ms` can be in the path of `order`.
fn may_lead_to(from_ms: i64, to_ms: i64, order: &Bought, rules: &Rules) -> bool {
    let ordered_at_ms = clamped(order.place.time_ms);
    from_ms <= ordered_at_ms && ordered_at_ms.saturating_sub(to_ms) <= rules.lookback_ms
}

/// Emits the credits of `after` that say something else than in `before`, and retracts those of `before` that are not in it. Both are
/// of the same order.
pub fn emit_difference(
    before: &[Credit<'_>],
    after: &[Credit<'_>],
    owner: &Owner<'_>,
    cx: &Context<'_>,
    sink: &mut impl Sink,
) {
    let old: BTreeMap<_, _> = before.iter().map(|credit| (credit.key(), credit)).collect();
    let new: BTreeMap<_, _> = after.iter().map(|credit| (credit.key(), credit)).collect();
    // The order may have changed its owner since: what ceases is revised as of now.
    let hand_overs = after.iter().chain(before).map(|credit| credit.order.hand_overs).max().unwrap_or(0);
    for (key, credit) in &old {
        if !new.contains_key(key) {
            write(credit, hand_overs, true, owner, cx, sink);
        }
    }
    for (key, credit) in &new {
        if old.get(key).is_none_or(|known| !known.says_the_same(credit)) {
            write(credit, hand_overs, false, owner, cx, sink);
        }
    }
}

fn write(
    credit: &Credit<'_>,
    hand_overs: u16,
    retracted: bool,
    owner: &Owner<'_>,
    cx: &Context<'_>,
    sink: &mut impl Sink,
) {
    let order = credit.order;
    let revision = cx.revision(hand_overs);
    let touch_id = match credit.touch {
        Some(touch) => touch.id,
        None => orders::state_id(owner.site, Some(&order.order_id), None).unwrap_or_default(),
    };
    let model = credit.model.symbol();
    let key = [owner.site.as_bytes(), order.order_id.as_bytes(), model.as_bytes(), &touch_id.to_hex()];
    let [utm_source, utm_medium, utm_campaign] = credit.touch.map_or([None; 3], |touch| touch.utm);
    let ordered_at = order.place.time_ms;
    sink.attribution(&Attribution {
        site: owner.site,
        order_id: &order.order_id,
        model,
        touch_id,
        revision,
        idempotency_key: idempotency_key(Attribution::TOPIC, &key, revision),
        retracted,
        event_time: ordered_at,
        source_event: cx.source_event,
        watermark: cx.watermark_column_ms(),
        consent: i32::from(credit.consent()),
        is_bot: order.is_bot,
        person: owner.person,
        user_id: owner.user_id,
        channel: credit.touch.map_or("none", |touch| touch.channel),
        utm_source,
        utm_medium,
        utm_campaign,
        touch_kind: credit.touch.map_or("none", |touch| touch.kind.symbol()),
        touched_at: credit.touch.map_or(ordered_at, |touch| touch.at_ms),
        ordered_at,
        position: i32::try_from(credit.position).unwrap_or(i32::MAX),
        touches: i32::try_from(credit.touches).unwrap_or(i32::MAX),
        weight: credit.weight,
        currency: std::str::from_utf8(&order.currency).unwrap_or("XXX"),
        gross_minor: credit.gross_minor,
        refunded_minor: credit.refunded_minor,
        credited_minor: credit.credited_minor(),
        reporting_credited_minor: credit.reporting_credited_minor,
        margin_minor: credit.margin_minor,
    });
}
