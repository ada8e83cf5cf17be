//! What a profile says, computed from the person's state.

use millstream_schemas::{Id, purposes};
use smallvec::SmallVec;

use crate::buyer::Buyer;
use crate::person::Person;
use crate::visits::Visits;

/// The figures of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Closed sessions of all sources.
    pub visits: Visits,
    /// Sources with a closed session or an order that is still kept.
    pub sources: u32,
    /// Orders.
    pub orders: u64,
    /// Net revenue ever in the site's reporting currency, minor units; orders without a rate are not in it.
    pub revenue_minor: i64,
    /// Time of the first order, milliseconds UTC.
    pub first_order_ms: Option<i64>,
    /// Time of the latest.
    pub last_order_ms: Option<i64>,
    /// Purposes that all sessions and orders allow.
    pub consent: i32,
    /// Whether any session or order is suspected to be automated.
    pub is_bot: bool,
}

impl Figures {
    /// The figures of a person; `None` where there is neither a closed session nor an order.
    pub fn of(person: &Person) -> Option<Self> {
        let mut sources: SmallVec<[Id; 4]> = SmallVec::new();
        let mut visits = Visits::default();
        for source in &person.sources {
            let own = source.closed_visits();
            if !own.is_empty() {
                sources.push(source.id);
                visits.absorb(&own);
            }
        }
        let mut figures = Self {
            consent: if visits.is_empty() { purposes::ALL } else { visits.consent() },
            is_bot: visits.is_bot(),
            visits,
            sources: 0,
            orders: 0,
            revenue_minor: 0,
            first_order_ms: None,
            last_order_ms: None,
        };
        if let Some(trade) = &person.trade {
            figures.add_orders(&trade.buyer);
            for source in trade.buyer.orders.iter().filter_map(|order| order.source) {
                if !sources.contains(&source) {
                    sources.push(source);
                }
            }
        }
        // Sources are bounded, orders are bounded.
        figures.sources = sources.len() as u32;
        (!figures.visits.is_empty() || figures.orders > 0).then_some(figures)
    }

    fn add_orders(&mut self, buyer: &Buyer) {
        let past = &buyer.past;
        if past.orders > 0 {
            self.consent &= i32::from(past.consent);
            self.is_bot |= past.is_bot;
            self.first_order_ms = Some(past.first_order_ms);
            self.last_order_ms = Some(past.last_order_ms);
        }
        self.orders = u64::from(past.orders) + buyer.orders.len() as u64;
        self.revenue_minor = past.revenue_minor;
        for order in &buyer.orders {
            let time_ms = order.place.time_ms;
            self.first_order_ms = Some(self.first_order_ms.map_or(time_ms, |first| first.min(time_ms)));
            self.last_order_ms = self.last_order_ms.max(Some(time_ms));
            self.consent &= i32::from(order.consent);
            self.is_bot |= order.is_bot;
            self.revenue_minor = self.revenue_minor.saturating_add(order.net_reporting_minor().unwrap_or(0));
        }
        for refund in &buyer.refunds {
            self.revenue_minor = self.revenue_minor.saturating_sub(refund.unmatched_reporting_minor().unwrap_or(0));
        }
    }

    /// The first that is known of the person: event or order, milliseconds UTC.
    pub fn first_seen_ms(&self) -> i64 {
        self.visits.first_seen_ms.min(self.first_order_ms.unwrap_or(i64::MAX))
    }

    /// The last.
    pub fn last_seen_ms(&self) -> i64 {
        self.visits.last_seen_ms.max(self.last_order_ms.unwrap_or(i64::MIN))
    }
}
