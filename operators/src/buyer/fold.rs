//! What is too old, or has to make room, goes into the summary.
//!
//! Always from the oldest on, orders before refunds of the same time: a refund takes back what was bought before it, so what it was
//! matched to goes with or before it. A refund that stays keeps what it was matched to of the orders that went.

use super::changed::Changed;
use super::state::{Bought, Buyer, Past, Returned};
use crate::core::EventOrder;
use crate::core::limits::{BUYER_RETENTION_MS, LINES_PER_PERSON, ORDERS_PER_PERSON, RETURNS_PER_PERSON};

/// What goes into the past.
#[derive(Debug, Clone, Copy)]
pub enum Folded<'a> {
    /// An order, with all its refunds.
    Order(&'a Bought),
    /// A refund without order id; what counts of it is what was matched to no order.
    Refund(&'a Returned),
}

impl Folded<'_> {
    /// Its place among the person's events.
    pub fn place(&self) -> EventOrder {
        match self {
            Self::Order(order) => order.place,
            Self::Refund(refund) => refund.place,
        }
    }

    fn lines(&self) -> usize {
        match self {
            Self::Order(order) => order.lines.len(),
            Self::Refund(refund) => refund.lines.len(),
        }
    }
}

/// Folds what nothing can revise any more, by what is settled.
pub fn fold(buyer: &mut Buyer, settled_ms: i64, mut fold_into: impl FnMut(&mut Past, Folded<'_>)) {
    while buyer.due_ms().is_some_and(|due_ms| due_ms < settled_ms) {
        buyer.fold_oldest(&mut fold_into);
    }
}

/// Folds until there is room for one more, as long as what would have to go is older. Returns whether there is room.
pub(super) fn make_room(
    buyer: &mut Buyer,
    comes: &Folded<'_>,
    changed: &mut Changed,
    fold_into: &mut impl FnMut(&mut Past, Folded<'_>),
) -> bool {
    loop {
        let has_room = match comes {
            Folded::Order(_) => buyer.orders.len() < ORDERS_PER_PERSON,
            Folded::Refund(_) => buyer.refunds.len() < RETURNS_PER_PERSON,
        };
        if has_room && buyer.lines() + comes.lines() <= LINES_PER_PERSON {
            return true;
        }
        if buyer.oldest().is_none_or(|oldest| oldest.place() >= comes.place()) {
            return false;
        }
        buyer.fold_oldest(fold_into);
        changed.past = true;
    }
}

impl Buyer {
    /// When there is something to fold, milliseconds UTC: what is settled must have passed it.
    pub fn due_ms(&self) -> Option<i64> {
        self.oldest().map(|oldest| oldest.place().time_ms.saturating_add(BUYER_RETENTION_MS))
    }

    fn oldest(&self) -> Option<Folded<'_>> {
        match (self.orders.first(), self.refunds.first()) {
            (Some(order), Some(refund)) if order.place.time_ms > refund.place.time_ms => Some(Folded::Refund(refund)),
            (Some(order), _) => Some(Folded::Order(order)),
            (None, refund) => refund.map(Folded::Refund),
        }
    }

    fn fold_oldest(&mut self, fold_into: &mut impl FnMut(&mut Past, Folded<'_>)) {
        match self.oldest() {
            Some(Folded::Order(_)) => {
                let order = self.orders.remove(0);
                self.fold(Folded::Order(&order), fold_into);
            }
            Some(Folded::Refund(_)) => {
                let refund = self.refunds.remove(0);
                self.fold(Folded::Refund(&refund), fold_into);
            }
            None => {}
        }
    }

    /// Adds to the summary what is kept singly no more, or never was.
    pub(super) fn fold(&mut self, folded: Folded<'_>, fold_into: &mut impl FnMut(&mut Past, Folded<'_>)) {
        fold_into(&mut self.past, folded);
        self.past.until = self.past.until.max(Some(folded.place()));
    }
}
