//! Takes in what an order's partition tells.
//!
//! All facts of one order come from one partition, in its order: the last one holds. What is told of something unknown at a place
//! that already went into the past comes too late and changes nothing; [`Changed::is_late`] says so, and whoever feeds the facts
//! rejects it.

use millstream_schemas::OrderFact;

use super::changed::Changed;
use super::fold::{Folded, make_room};
use super::matching::{keep_settled, rematch};
use super::state::{Bought, BoughtLine, Buyer, Past, Returned, ReturnedLine, product};
use crate::core::EventOrder;

/// Takes a fact in; facts of other kinds than orders and refunds change nothing here. `fold_into` adds to the summary what has to make
/// room, the oldest first.
pub fn apply(buyer: &mut Buyer, fact: &OrderFact<'_>, mut fold_into: impl FnMut(&mut Past, Folded<'_>)) -> Changed {
    let mut changed = Changed::default();
    let may_rematch = match fact.kind {
        "order" => put_order(buyer, bought(fact), &mut changed, &mut fold_into),
        "refund" => put_refund(buyer, returned(fact), &mut changed, &mut fold_into),
        "order_gone" => take_order(buyer, fact, &mut changed),
        "refund_gone" => take_refund(buyer, fact, &mut changed),
        _ => false,
    };
    // Where no refund is, and none was, there is nothing to match.
    if may_rematch && !(buyer.refunds.is_empty() && changed.refunds.is_empty()) {
        rematch(buyer, &mut changed);
    }
    changed.settle(buyer);
    changed
}

fn put_order(
    buyer: &mut Buyer,
    order: Bought,
    changed: &mut Changed,
    fold_into: &mut impl FnMut(&mut Past, Folded<'_>),
) -> bool {
    let known = buyer.orders.iter().position(|known| known.order_id == order.order_id);
    match known {
        Some(at) if buyer.orders.get(at).is_some_and(|known| known.hand_overs > order.hand_overs) => return false,
        Some(at) => {
            let old = buyer.orders.remove(at);
            changed.orders.push((order.order_id.clone(), Some(old)));
        }
        None if buyer.is_past(&order.place) => return late(changed),
        None => {}
    }
    let folded = Folded::Order(&order);
    let has_room = make_room(buyer, &folded, changed, fold_into);
    if known.is_none() {
        if !has_room {
            buyer.fold(folded, fold_into);
            changed.past = true;
            return false;
        }
        changed.orders.push((order.order_id.clone(), None));
    }
    let at = buyer.orders.partition_point(|other| (&other.place, &other.order_id) < (&order.place, &order.order_id));
    // Most persons have one or none: no room is kept for more.
    buyer.orders.reserve_exact(1);
    buyer.orders.insert(at, order);
    true
}

fn put_refund(
    buyer: &mut Buyer,
    mut refund: Returned,
    changed: &mut Changed,
    fold_into: &mut impl FnMut(&mut Past, Folded<'_>),
) -> bool {
    let known = buyer.refunds.iter().position(|known| known.refund_id == refund.refund_id);
    match known {
        Some(at) if buyer.refunds.get(at).is_some_and(|known| known.hand_overs > refund.hand_overs) => return false,
        Some(at) => {
            let old = buyer.refunds.remove(at);
            keep_settled(buyer, &old, &mut refund);
            changed.refunds.push((refund.refund_id.clone(), Some(old)));
        }
        None if buyer.is_past(&refund.place) => return late(changed),
        None => {}
    }
    let folded = Folded::Refund(&refund);
    let has_room = make_room(buyer, &folded, changed, fold_into);
    if known.is_none() {
        if !has_room {
            buyer.fold(folded, fold_into);
            changed.past = true;
            return false;
        }
        changed.refunds.push((refund.refund_id.clone(), None));
    }
    let at =
        buyer.refunds.partition_point(|other| (&other.place, &other.refund_id) < (&refund.place, &refund.refund_id));
    buyer.refunds.reserve_exact(1);
    buyer.refunds.insert(at, refund);
    true
}

fn take_order(buyer: &mut Buyer, fact: &OrderFact<'_>, changed: &mut Changed) -> bool {
    let gone = |known: &Bought| Some(&*known.order_id) == fact.order_id && known.hand_overs <= hand_overs(fact);
    let Some(at) = buyer.orders.iter().position(gone) else {
        let is_kept = fact.order_id.is_some_and(|order_id| buyer.order(order_id).is_some());
        return if !is_kept && buyer.is_past(&place(fact)) { late(changed) } else { false };
    };
    let old = buyer.orders.remove(at);
    changed.orders.push((old.order_id.clone(), Some(old)));
    true
}

fn take_refund(buyer: &mut Buyer, fact: &OrderFact<'_>, changed: &mut Changed) -> bool {
    let gone = |known: &Returned| Some(&*known.refund_id) == fact.refund_id && known.hand_overs <= hand_overs(fact);
    let Some(at) = buyer.refunds.iter().position(gone) else {
        let is_kept = fact.refund_id.is_some_and(|refund_id| buyer.refund(refund_id).is_some());
        return if !is_kept && buyer.is_past(&place(fact)) { late(changed) } else { false };
    };
    let old = buyer.refunds.remove(at);
    changed.refunds.push((old.refund_id.clone(), Some(old)));
    true
}

/// It speaks of what is in the sums already, or would have been: they stay as they are.
fn late(changed: &mut Changed) -> bool {
    changed.is_late = true;
    false
}

fn hand_overs(fact: &OrderFact<'_>) -> u16 {
    // It fits: it is a revision's high bits.
    u16::try_from(fact.hand_overs).unwrap_or(u16::MAX)
}

fn place(fact: &OrderFact<'_>) -> EventOrder {
    EventOrder::new(fact.event_time, fact.sequence, fact.event_id)
}

fn currency(fact: &OrderFact<'_>) -> [u8; 3] {
    // An order without a currency is refused before it becomes a fact.
    fact.currency.and_then(|currency| currency.as_bytes().try_into().ok()).unwrap_or_default()
}

fn consent(fact: &OrderFact<'_>) -> u8 {
    // Four purposes fit.
    u8::try_from(fact.consent).unwrap_or_default()
}

fn bought(fact: &OrderFact<'_>) -> Bought {
    let lines = fact.lines.iter().filter(|line| line.quantity > 0);
    let mut lines: Vec<BoughtLine> = lines
        .map(|line| BoughtLine { product: product(line.product_id), quantity: line.quantity, returned: 0 })
        .collect();
    lines.sort_unstable_by_key(|line| line.product);
    lines.dedup_by(|line, kept| {
        let is_same = line.product == kept.product;
        if is_same {
            kept.quantity = kept.quantity.saturating_add(line.quantity);
        }
        is_same
    });
    Bought {
        order_id: Box::from(fact.order_id.unwrap_or_default()),
        place: place(fact),
        source: fact.source,
        hand_overs: hand_overs(fact),
        currency: currency(fact),
        amount_minor: fact.amount_minor.unwrap_or(0),
        reporting_amount_minor: fact.reporting_amount_minor,
        named_refunds_minor: fact.refunded_minor,
        matched_refunds_minor: 0,
        cost_minor: fact.cost_minor,
        consent: consent(fact),
        is_bot: fact.is_bot,
        lines: lines.into_boxed_slice(),
    }
}

fn returned(fact: &OrderFact<'_>) -> Returned {
    let mut lines: Vec<ReturnedLine> = fact
        .lines
        .iter()
        .map(|line| ReturnedLine {
            line_no: line.line_no,
            product_id: Box::from(line.product_id),
            quantity: line.quantity.max(0),
            amount_minor: line.amount_minor,
            ..ReturnedLine::default()
        })
        .collect();
    lines.sort_by_key(|line| line.line_no);
    Returned {
        refund_id: Box::from(fact.refund_id.unwrap_or_default()),
        place: place(fact),
        source: fact.source,
        hand_overs: hand_overs(fact),
        currency: currency(fact),
        amount_minor: fact.amount_minor.unwrap_or(0),
        reporting_amount_minor: fact.reporting_amount_minor,
        consent: consent(fact),
        is_bot: fact.is_bot,
        lines: lines.into_boxed_slice(),
    }
}
