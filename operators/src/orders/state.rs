//! What is kept of an order.

use std::sync::Arc;

use millstream_schemas::{Id, OrderEntry};
use smallvec::SmallVec;

use crate::core::limits::ORDER_RETENTION_MS;
use crate::core::{EventOrder, Timers, UndoMap};

/// The latest telling of a purchase or refund: its entry as it came, so that a change of owner can revise every row of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The event's place.
    pub order: EventOrder,
    /// The entry's Avro body.
    pub body: Arc<[u8]>,
}

impl Told {
    /// The entry; `None` cannot be: it was decoded when it came.
    pub fn entry(&self) -> Option<OrderEntry<'_>> {
        OrderEntry::decode(&self.body).ok()
    }
}

/// Who a source belongs to since it was handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The source.
    pub source: Id,
    /// How often it had been handed over: the highest is its owner now.
    pub hand_overs: i32,
    /// Its person.
    pub person: Option<Id>,
    /// The user behind the person.
    pub user_id: Option<Box<str>>,
}

/// Who is told of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Addressee {
    /// The person whose partition knows of it now; `None` for nobody.
    pub person: Option<Id>,
    /// How often it was taken from one and given to another: the high bits of the revisions that follow from what is told, so that
    /// the new person's are higher than the old one's retractions. Counted here, because one order may come from several sources.
    pub hand_overs: u16,
}

/// One order with its refunds, or one refund without order id.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// The purchase, once told of.
    pub purchase: Option<Told>,
    /// Refunds, in the order they were first told of.
    pub refunds: Vec<Told>,
    /// Offline touches that name the order, by their place.
    pub touches: Vec<Told>,
    /// Owners of the sources they came from, where these have moved.
    pub owners: SmallVec<[Owner; 1]>,
    /// Who is told of it.
    pub addressee: Addressee,
    /// Due time of the timer set; 0 for none.
    pub armed_ms: i64,
}

impl Order {
    /// When it can be revised no more: counted from its purchase; while that is not known, from the latest refund or touch.
    pub fn due_ms(&self) -> i64 {
        let others = || self.refunds.iter().chain(&self.touches).map(|told| told.order.time_ms).max();
        let since = self.purchase.as_ref().map(|told| told.order.time_ms).or_else(others);
        since.unwrap_or(0).saturating_add(ORDER_RETENTION_MS)
    }

    /// Refunds that name the order, in its currency, minor units. One in another currency cannot be subtracted; it stays unmatched.
    pub(super) fn refunded_minor(&self, currency: Option<&str>) -> i64 {
        let refunds = self.refunds.iter().filter_map(Told::entry).filter(|refund| refund.currency == currency);
        refunds.fold(0, |sum, refund| sum.saturating_add(refund.amount_minor.unwrap_or(0)))
    }

    /// The currency it is in, once known.
    pub(super) fn currency(&self) -> Option<&str> {
        self.purchase.as_ref()?.entry()?.currency
    }

    /// Bytes held, beyond this struct.
    pub fn bytes(&self) -> usize {
        let told = self.purchase.iter().chain(&self.refunds).chain(&self.touches);
        let bodies = told.map(|told| 16 + told.body.len()).sum::<usize>();
        bodies + (self.refunds.capacity() + self.touches.capacity()) * size_of::<Told>()
    }
}

/// All orders of one partition.
#[derive(Debug, Default)]
pub struct Orders {
    pub(super) entries: UndoMap<u128, Order>,
    pub(super) timers: Timers,
}

impl Orders {
    /// No order.
    pub fn new() -> Self {
        Self::default()
    }

    /// One order, by its [`state_id`](super::state_id).
    pub fn get(&self, id: Id) -> Option<&Order> {
        self.entries.get(id.0)
    }

    /// Number of orders held.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Number of entries saved for undo.
    pub fn saved_len(&self) -> usize {
        self.entries.saved_len()
    }

    /// Makes the changes since the last commit permanent.
    pub fn commit(&mut self) {
        self.entries.commit();
        self.timers.commit();
    }

    /// Takes back the changes since the last commit.
    pub fn undo(&mut self) {
        self.entries.undo();
        self.timers.undo();
    }
}
