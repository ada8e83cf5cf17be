//! Which orders a refund without order id takes back.
//!
//! Refunds are looked at in the order of their places, their lines by number. A line takes back pieces of its product, in its
//! currency, from the newest order placed at or before the refund's time that has any left, then from the next older one, as far
//! back as an order can be revised. What no order has left stays unmatched. An order's pieces are taken back once.
//!
//! A pure function of the orders and refunds, so it does not matter in which order they were told of: made anew whenever either
//! changes. A match's share of the line's amount is in proportion to its pieces: of the first n pieces the share is
//! amount × n / quantity, rounded down, and each match has the difference, so that matched and unmatched add up to the amount.

use std::collections::BTreeSet;

use super::changed::Changed;
use super::state::{Bought, Buyer, Match, Returned, ReturnedLine, product};
use crate::core::EventOrder;
use crate::core::limits::ORDER_RETENTION_MS;

/// Pieces of one product in one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Stock {
    product: u64,
    /// Index of the order: a higher one is newer.
    order: usize,
    /// Index of the line.
    line: usize,
    /// Pieces not taken back.
    left: i64,
}

/// Matches all refunds anew and notes what came out differently.
pub(super) fn rematch(buyer: &mut Buyer, changed: &mut Changed) {
    let Buyer { orders, refunds, past } = buyer;
    let mut stock = stock(orders, refunds);
    let mut matched_minor = vec![0i64; orders.len()];
    let settled = Settled::new(past.until, orders);
    for refund in refunds {
        let mut outcomes = Vec::with_capacity(refund.lines.len());
        for line in &refund.lines {
            let mut matches = match_line(refund, line, settled.pieces(line), orders, &mut stock, &mut matched_minor);
            matches.extend(settled.matches(line).cloned());
            outcomes.push(matches);
        }
        if refund.lines.iter().map(|line| &line.matches).eq(&outcomes) {
            continue;
        }
        changed.refund_was(refund);
        for (line, matches) in refund.lines.iter_mut().zip(outcomes) {
            line.matched_quantity = matches.iter().map(|matched| matched.quantity).sum();
            line.matched_minor = matches.iter().map(|matched| matched.amount_minor).sum();
            line.matches = matches;
        }
    }
    stock.sort_unstable_by_key(|stock| stock.order);
    let mut stock = stock.into_iter().peekable();
    for (at, (order, matched_minor)) in orders.iter_mut().zip(matched_minor).enumerate() {
        let mut returned = vec![0i64; order.lines.len()];
        while let Some(stock) = stock.next_if(|stock| stock.order == at) {
            if let (Some(returned), Some(line)) = (returned.get_mut(stock.line), order.lines.get(stock.line)) {
                *returned = line.quantity - stock.left;
            }
        }
        if order.matched_refunds_minor == matched_minor
            && order.lines.iter().map(|line| line.returned).eq(returned.iter().copied())
        {
            continue;
        }
        changed.order_was(order);
        order.matched_refunds_minor = matched_minor;
        for (line, returned) in order.lines.iter_mut().zip(returned) {
            line.returned = returned;
        }
    }
}

/// All pieces of the products that some refund gives back, sorted by product and age.
fn stock(orders: &[Bought], refunds: &[Returned]) -> Vec<Stock> {
    let wanted: BTreeSet<u64> =
        refunds.iter().flat_map(|refund| &refund.lines).map(|line| product(&line.product_id)).collect();
    let mut stock: Vec<Stock> = Vec::new();
    for (at, order) in orders.iter().enumerate() {
        let lines = order.lines.iter().enumerate().filter(|(_, line)| wanted.contains(&line.product));
        stock.extend(lines.map(|(line_at, line)| Stock {
            product: line.product,
            order: at,
            line: line_at,
            left: line.quantity,
        }));
    }
    stock.sort_unstable();
    stock
}

/// Takes the pieces of a line from the stock; `settled` of them are matched for good.
fn match_line(
    refund: &Returned,
    line: &ReturnedLine,
    settled: i64,
    orders: &[Bought],
    stock: &mut [Stock],
    matched_minor: &mut [i64],
) -> Vec<Match> {
    let product = product(&line.product_id);
    let first = stock.partition_point(|stock| stock.product < product);
    let end = stock.partition_point(|stock| stock.product <= product);
    let mut matches = Vec::new();
    let (mut wanted, mut taken) = (line.quantity - settled, 0i64);
    for stock in stock.get_mut(first..end).unwrap_or_default().iter_mut().rev() {
        let Some(order) = orders.get(stock.order) else { continue };
        let age_ms = refund.place.time_ms.saturating_sub(order.place.time_ms);
        if wanted <= 0 || age_ms > ORDER_RETENTION_MS {
            break;
        }
        let pieces = stock.left.min(wanted);
        if age_ms < 0 || pieces == 0 || order.currency != refund.currency {
            continue;
        }
        stock.left -= pieces;
        wanted -= pieces;
        let amount_minor = share(line, taken + pieces) - share(line, taken);
        taken += pieces;
        if let Some(matched_minor) = matched_minor.get_mut(stock.order) {
            *matched_minor = matched_minor.saturating_add(amount_minor);
        }
        matches.push(Match { order_id: order.order_id.clone(), place: order.place, quantity: pieces, amount_minor });
    }
    matches
}

/// The share of the first `pieces` in the line's amount, rounded down.
fn share(line: &ReturnedLine, pieces: i64) -> i64 {
    // A line without pieces has no matches.
    let share = (i128::from(line.amount_minor) * i128::from(pieces)).div_euclid(i128::from(line.quantity.max(1)));
    i64::try_from(share).unwrap_or(line.amount_minor)
}

/// Takes over, from a refund as it was told before, what was matched to orders that went into the past: it was deducted there for good.
/// What a line had that is no longer told stays as a line of nothing, for the same reason.
pub(super) fn keep_settled(buyer: &Buyer, before: &Returned, refund: &mut Returned) {
    let settled = Settled::new(buyer.past.until, &buyer.orders);
    let mut lines = std::mem::take(&mut refund.lines).into_vec();
    for was in before.lines.iter().filter(|was| settled.pieces(was) > 0) {
        let is_same = |line: &&mut ReturnedLine| line.product_id == was.product_id;
        let by_number = lines.iter().position(|line| line.line_no == was.line_no && line.product_id == was.product_id);
        let known = match by_number {
            Some(at) => lines.get_mut(at),
            None => lines.iter_mut().find(is_same),
        };
        let matches = settled.matches(was).cloned();
        if let Some(line) = known {
            line.matches.extend(matches);
            continue;
        }
        let is_free = lines.iter().all(|line| line.line_no != was.line_no);
        let behind = lines.iter().map(|line| line.line_no).max().unwrap_or(0).saturating_add(1);
        lines.push(ReturnedLine {
            line_no: if is_free { was.line_no } else { behind },
            product_id: was.product_id.clone(),
            matches: matches.collect(),
            ..ReturnedLine::default()
        });
    }
    lines.sort_by_key(|line| line.line_no);
    for line in &mut lines {
        line.matched_quantity = line.matches.iter().map(|matched| matched.quantity).sum();
        line.matched_minor = line.matches.iter().map(|matched| matched.amount_minor).sum();
    }
    refund.lines = lines.into_boxed_slice();
}

/// Tells matches to orders that went into the past: those stay as they are.
struct Settled<'a> {
    until: Option<EventOrder>,
    kept: BTreeSet<&'a str>,
}

impl<'a> Settled<'a> {
    fn new(until: Option<EventOrder>, orders: &'a [Bought]) -> Self {
        let kept = if until.is_some() { orders } else { &[] };
        Self { until, kept: kept.iter().map(|order| &*order.order_id).collect() }
    }

    fn matches<'l>(&self, line: &'l ReturnedLine) -> impl Iterator<Item = &'l Match> {
        line.matches.iter().filter(|matched| {
            self.until.is_some_and(|until| matched.place <= until) && !self.kept.contains(&*matched.order_id)
        })
    }

    fn pieces(&self, line: &ReturnedLine) -> i64 {
        self.matches(line).map(|matched| matched.quantity).sum()
    }
}
