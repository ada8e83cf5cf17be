//! Orders and refunds of one person, compact and bounded.

use millstream_schemas::Id;
use xxhash_rust::xxh3::xxh3_64;

use crate::core::EventOrder;

/// One product of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BoughtLine {
    /// hash(product id); see [`product`].
    pub product: u64,
    /// Pieces bought, less those that refunds naming the order took back.
    pub quantity: i64,
    /// Pieces taken back by refunds without order id; see [`Returned`].
    pub returned: i64,
}

/// What lines know a product by.
pub fn product(product_id: &str) -> u64 {
    xxh3_64(product_id.as_bytes())
}

/// One order, as its partition tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bought {
    /// The shop's order id.
    pub order_id: Box<str>,
    /// The place of the purchase among the person's events.
    pub place: EventOrder,
    /// Source of the purchase.
    pub source: Option<Id>,
    /// How often it has been told to another person before: the high bits of the revisions of what follows from it.
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
    /// Its products, each once, for matching refunds.
    pub lines: Box<[BoughtLine]>,
}

impl Bought {
    /// All refunds of the order, minor units of its currency.
    pub fn refunded_minor(&self) -> i64 {
        self.named_refunds_minor.saturating_add(self.matched_refunds_minor)
    }

    /// Revenue less all refunds in the site's reporting currency, minor units: refunds convert at their order's rate, rounded down.
    /// `None` without a rate.
    pub fn net_reporting_minor(&self) -> Option<i64> {
        let reporting_minor = self.reporting_amount_minor?;
        Some(reporting_minor.saturating_sub(convert(self.refunded_minor(), self.amount_minor, reporting_minor)))
    }
}

/// `amount` at the rate that made `reporting` of `whole`, rounded down; as it is where the whole is nothing.
fn convert(amount: i64, whole: i64, reporting: i64) -> i64 {
    if whole == reporting || whole == 0 {
        return amount;
    }
    let converted = (i128::from(amount) * i128::from(reporting)).div_euclid(i128::from(whole));
    i64::try_from(converted).unwrap_or(i64::MAX)
}

/// Pieces of a refund's line that an order had, and their share of the line's amount.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Match {
    /// The order.
    pub order_id: Box<str>,
    /// Its place among the person's events.
    pub place: EventOrder,
    /// Pieces.
    pub quantity: i64,
    /// Their share of the line's amount, minor units.
    pub amount_minor: i64,
}

/// One line of a refund that names no order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
    /// The orders they were matched to, newest first.
    pub matches: Vec<Match>,
}

/// One refund that names no order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Returned {
    /// The shop's refund id.
    pub refund_id: Box<str>,
    /// Its place among the person's events.
    pub place: EventOrder,
    /// Source of the refund.
    pub source: Option<Id>,
    /// How often it has been told to another person before.
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
    /// Its lines, by their number.
    pub lines: Box<[ReturnedLine]>,
}

impl Returned {
    /// What was matched to orders, minor units.
    pub fn matched_minor(&self) -> i64 {
        self.lines.iter().fold(0, |sum, line| sum.saturating_add(line.matched_minor))
    }

    /// What was not, minor units: posted on the refund's own date. Below zero where the shop's lines exceed its refund.
    pub fn unmatched_minor(&self) -> i64 {
        self.amount_minor.saturating_sub(self.matched_minor())
    }

    /// The same in the site's reporting currency, rounded down; `None` without a rate.
    pub fn unmatched_reporting_minor(&self) -> Option<i64> {
        Some(convert(self.unmatched_minor(), self.amount_minor, self.reporting_amount_minor?))
    }
}

/// What scoring needs of the past: only orders with the purpose *personalization*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PastScored {
    /// Purchase days (site's time zone).
    pub days: u32,
    /// The first of them, days since 1970-01-01; 0 where there is none.
    pub first_day: i32,
    /// The last of them.
    pub last_day: i32,
    /// Net revenue of the first day in the reporting currency, minor units.
    pub first_day_minor: i64,
    /// Orders of the first day with an amount in the reporting currency; 0 says that its revenue is unknown.
    pub first_day_orders: u32,
    /// Later days with an amount in the reporting currency.
    pub repeat_days: u32,
    /// The last of those, as days are counted.
    pub last_repeat_day: i32,
    /// Net revenue of those, minor units.
    pub repeat_minor: i64,
}

/// What is left of orders too old to be revised. Filled by [`fold_order`](crate::customer::fold_order) and
/// [`fold_refund`](crate::customer::fold_refund), the oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Past {
    /// Place of the newest order or refund in it: what is told of another one at or before this place comes too late.
    pub until: Option<EventOrder>,
    /// Orders.
    pub orders: u32,
    /// Orders without a rate.
    pub orders_without_rate: u32,
    /// Unmatched refunds without a rate.
    pub refunds_without_rate: u32,
    /// Purchase days (site's time zone).
    pub days: u32,
    /// The first of them, days since 1970-01-01; 0 where there is none.
    pub first_day: i32,
    /// The last of them.
    pub last_day: i32,
    /// Time of the very first order, milliseconds UTC.
    pub first_order_ms: i64,
    /// Time of the last one.
    pub last_order_ms: i64,
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
    /// Cost of those.
    pub since_first_cost_minor: [i64; 3],
    /// Orders without cost among those.
    pub since_first_without_cost: [u32; 3],
    /// Purposes that all orders had; 0 where there is none.
    pub consent: u8,
    /// Whether one of them is suspected to be automated.
    pub is_bot: bool,
    /// What scoring needs.
    pub scored: PastScored,
}

/// All orders and refunds of one person that facts can still revise, and a summary of older ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Buyer {
    /// Sorted by place.
    pub orders: Vec<Bought>,
    /// Refunds without order id, sorted by place.
    pub refunds: Vec<Returned>,
    /// Summary of what is older than [`BUYER_RETENTION_MS`](crate::core::limits::BUYER_RETENTION_MS), or had to make room.
    pub past: Past,
}

impl Buyer {
    /// Whether nothing was ever bought or given back.
    pub fn is_empty(&self) -> bool {
        self.orders.is_empty() && self.refunds.is_empty() && self.past == Past::default()
    }

    /// An order that is kept.
    pub fn order(&self, order_id: &str) -> Option<&Bought> {
        // From the end: nearly every fact concerns the latest order.
        self.orders.iter().rev().find(|order| &*order.order_id == order_id)
    }

    /// A refund without order id that is kept.
    pub fn refund(&self, refund_id: &str) -> Option<&Returned> {
        self.refunds.iter().rev().find(|refund| &*refund.refund_id == refund_id)
    }

    /// Whether the place is at or before what went into the past.
    pub(super) fn is_past(&self, place: &EventOrder) -> bool {
        self.past.until.is_some_and(|until| *place <= until)
    }

    /// Lines kept, of orders and of refunds.
    pub(super) fn lines(&self) -> usize {
        self.orders.iter().map(|order| order.lines.len()).sum::<usize>()
            + self.refunds.iter().map(|refund| refund.lines.len()).sum::<usize>()
    }

    /// Bytes held, this struct included.
    pub fn bytes(&self) -> usize {
        let orders = self.orders.iter().map(|order| order.order_id.len() + size_of_val(&*order.lines));
        let lines = self.refunds.iter().flat_map(|refund| &refund.lines);
        let matches = |line: &ReturnedLine| line.matches.iter().map(|matched| matched.order_id.len()).sum::<usize>();
        let lines = lines.map(|line| {
            size_of_val(line) + line.product_id.len() + line.matches.capacity() * size_of::<Match>() + matches(line)
        });
        let refunds = self.refunds.iter().map(|refund| refund.refund_id.len());
        size_of::<Self>()
            + self.orders.capacity() * size_of::<Bought>()
            + self.refunds.capacity() * size_of::<Returned>()
            + orders.chain(lines).chain(refunds).sum::<usize>()
    }
}
