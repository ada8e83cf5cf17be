//! Orders and refunds, unique by site and order id.
//!
//! They live by order, not by person: a purchase without identity counts, and two devices that tell of one order tell of one order.
//! Ingest sends each purchase and refund as an `order_entry` to the partition of its [`route_id`]; there the latest telling (by
//! event time, sequence, event id) is the order, so that a reloaded thank-you page is a revision. A revision with fewer lines
//! retracts the rest. A refund that names its order lowers the order's net amount; before the order is known it is `unmatched`, and
//! becomes `matched` when the order comes; one in another currency than its order's stays `unmatched`, for there is nothing it could be
//! subtracted from. All are posted on their own date. When a source moves to another person, an entry of kind `owner` revises what
//! came from that source.
//!
//! This is the only authority on orders: whatever changes here is told to the person's partition as an `order_fact` ([`facts`]), where
//! [`buyer`](crate::buyer) keeps it; offline touches that name the order are told to whoever it belongs to. A refund without order id is `unmatched` here; which of the person's orders it takes back is
//! decided there.
//!
//! An order can be revised for 400 days after its purchase, by what is settled; then its state goes and its rows stay. The revision's
//! high bits are 0: an order never changes its partition. Needs the purpose *necessary*.
//!
//! State: [`state`]. Entries: [`on_entry`]. Timers: [`on_timer`]. Whose an order is: [`combine`]. Records: [`outputs`]. Snapshots:
//! [`snapshot`].

pub mod combine;
pub mod facts;
pub mod on_entry;
pub mod on_timer;
pub mod outputs;
pub mod snapshot;
pub mod state;

#[cfg(test)]
mod tests;

pub use state::{Order, Orders};

use millstream_schemas::Id;

/// What an order or refund is kept by: its order id, or the refund's id where it names no order; the two never meet. `None` where
/// there is neither.
pub fn state_id(site: &str, order_id: Option<&str>, refund_id: Option<&str>) -> Option<Id> {
    match (order_id, refund_id) {
        (Some(order_id), _) => Some(Id::of(&[b"order", site.as_bytes(), order_id.as_bytes()])),
        (None, Some(refund_id)) => Some(Id::of(&[b"refund", site.as_bytes(), refund_id.as_bytes()])),
        (None, None) => None,
    }
}

/// What an order or refund is partitioned by: the record's key is the id's 16 bytes, big-endian. `None` where there is neither id.
pub fn route_id(site: &str, order_id: Option<&str>, refund_id: Option<&str>) -> Option<Id> {
    order_id.or(refund_id).map(|id| Id::of(&[site.as_bytes(), id.as_bytes()]))
}
