//! What a fact has changed.

use super::state::{Bought, Buyer, Returned};

/// What differs since a fact was taken in: the order or refund it tells of, and whatever was matched differently because of it.
///
/// How each is now says the [`Buyer`]: [`Buyer::order`] and [`Buyer::refund`], `None` for what is no longer the person's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changed {
    /// Order ids, with the orders as they were; `None` for one that is new.
    pub orders: Vec<(Box<str>, Option<Bought>)>,
    /// Refund ids, with the refunds as they were; `None` for one that is new.
    pub refunds: Vec<(Box<str>, Option<Returned>)>,
    /// Whether something went into the past to make room, or, where everything kept is newer, in there at once.
    pub past: bool,
    /// Whether the fact came too late: it speaks of what went into the past. Nothing differs then.
    pub is_late: bool,
}

impl Changed {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.orders.is_empty() && self.refunds.is_empty() && !self.past
    }

    /// Notes an order before it changes. The first note of it holds.
    pub(super) fn order_was(&mut self, order: &Bought) {
        if self.orders.iter().all(|(id, _)| *id != order.order_id) {
            self.orders.push((order.order_id.clone(), Some(order.clone())));
        }
    }

    /// Notes a refund before it changes. The first note of it holds.
    pub(super) fn refund_was(&mut self, refund: &Returned) {
        if self.refunds.iter().all(|(id, _)| *id != refund.refund_id) {
            self.refunds.push((refund.refund_id.clone(), Some(refund.clone())));
        }
    }

    /// Forgets what is as it was.
    pub(super) fn settle(&mut self, buyer: &Buyer) {
        self.orders.retain(|(id, before)| buyer.order(id) != before.as_ref());
        self.refunds.retain(|(id, before)| buyer.refund(id) != before.as_ref());
    }
}
