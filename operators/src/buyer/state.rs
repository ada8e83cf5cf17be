//! Orders and refunds of one person, compact and bounded.

use millstream_schemas::Id;

use crate::core::EventOrder;

/// One line of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoughtLine {
    /// hash(product id).
    pub product: u64,
    /// Pieces bought.
    pub quantity: i64,
    /// Pieces taken back by refunds without order id; see [`Returned`].
    pub returned: i64,
}

/// One order, as its partition tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bought {
    /// The shop's order id.
    pub order_id: Box<str>,
    /// The place of the purchase among the person's events.
    pub place: EventOrder,
    /// Source of the purchase.
    pub source: Option<Id>,
    /// How often its owner has changed: the high bits of the revisions of what follows from it.
    pub hand_overs: u16,
    /// ISO 4217 code.
    pub currency: [u8; 3],
    /// Revenue, minor units.
    pub amount_minor: i64,
    /// Revenue in the site's reporting currency; `None` without a rate.
    pub reporting_amount_minor: Option<i64>,
    /// Refunds that name the order, minor units of its currency.
    pub named_refunds_minor: i64,
    /// Refunds without order id that were matched to it, minor units of its currency.
    pub matched_refunds_minor: i64,
    /// Its cost; `None` unless every line has one.
    pub cost_minor: Option<i64>,
    /// Consent purposes of the purchase.
    pub consent: u8,
    /// Whether the purchase is suspected to be automated.
    pub is_bot: bool,
    /// Its lines, for matching refunds.
    pub lines: Box<[BoughtLine]>,
}

impl Bought {
    /// All refunds of the order, minor units of its currency.
    pub fn refunded_minor(&self) -> i64 {
        self.named_refunds_minor.saturating_add(self.matched_refunds_minor)
    }
}

/// One line of a refund that names no order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnedLine {
    /// Its number.
    pub line_no: i32,
    /// The product.
    pub product_id: Box<str>,
    /// Pieces given back.
    pub quantity: i64,
    /// Amount given back, minor units.
    pub amount_minor: i64,
    /// Pieces matched to orders.
    pub matched_quantity: i64,
    /// Their share of the amount, minor units.
    pub matched_minor: i64,
}

/// One refund that names no order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    /// The shop's refund id.
    pub refund_id: Box<str>,
    /// Its place among the person's events.
    pub place: EventOrder,
    /// Source of the refund.
    pub source: Option<Id>,
    /// How often its owner has changed.
    pub hand_overs: u16,
    /// ISO 4217 code.
    pub currency: [u8; 3],
    /// Amount given back, minor units.
    pub amount_minor: i64,
    /// The same in the site's reporting currency; `None` without a rate.
    pub reporting_amount_minor: Option<i64>,
    /// Consent purposes of the refund.
    pub consent: u8,
    /// Whether it is suspected to be automated.
    pub is_bot: bool,
    /// Its lines.
    pub lines: Box<[ReturnedLine]>,
}

/// What is left of orders too old to be revised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Past {
    /// Orders.
    pub orders: u32,
    /// Orders without a rate.
    pub orders_without_rate: u32,
    /// Purchase days (site's time zone).
    pub days: u32,
    /// The first of them, days since 1970-01-01; 0 where there is none.
    pub first_day: i32,
    /// The last of them.
    pub last_day: i32,
    /// Time of the very first order, milliseconds UTC.
    pub first_order_ms: i64,
    /// Net revenue in the reporting currency, minor units.
    pub revenue_minor: i64,
    /// Unmatched refunds in it.
    pub unmatched_refunds_minor: i64,
    /// Cost of them.
    pub cost_minor: i64,
    /// Orders without cost.
    pub orders_without_cost: u32,
    /// Net revenue of the 30, 90 and 365 days since the first order.
    pub since_first_minor: [i64; 3],
}

/// All orders and refunds of one person that facts can still revise, and a summary of older ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Buyer {
    /// Sorted by place.
    pub orders: Vec<Bought>,
    /// Refunds without order id, sorted by place.
    pub refunds: Vec<Returned>,
    /// Summary of what is older than [`ORDER_RETENTION_MS`](crate::core::limits::ORDER_RETENTION_MS).
    pub past: Past,
}

impl Buyer {
    /// Whether nothing was ever bought or given back.
    pub fn is_empty(&self) -> bool {
        self.orders.is_empty() && self.refunds.is_empty() && self.past == Past::default()
    }
}
