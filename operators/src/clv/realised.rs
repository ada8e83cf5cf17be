//! What a customer has been worth.

use super::Rules;
use crate::buyer::Buyer;
use crate::customer::past::worth;
use crate::customer::{AsOf, WINDOW_DAYS};

/// Net revenue of some orders, and its margin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// Minor units of the reporting currency.
    pub revenue_minor: i64,
    /// The same less cost; `None` where an order lacks its cost.
    pub margin_minor: Option<i64>,
}

/// Sums of a window while it is added up.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    revenue_minor: i64,
    cost_minor: i64,
    without_cost: u32,
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.revenue_minor = self.revenue_minor.saturating_add(other.revenue_minor);
        self.cost_minor = self.cost_minor.saturating_add(other.cost_minor);
        self.without_cost = self.without_cost.saturating_add(other.without_cost);
    }

    fn window(&self) -> Window {
        let margin_minor = self.revenue_minor.saturating_sub(self.cost_minor);
        Window { revenue_minor: self.revenue_minor, margin_minor: (self.without_cost == 0).then_some(margin_minor) }
    }
}

/// Net revenue and margin of a customer at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Realised {
    /// Orders.
    pub orders: u32,
    /// Orders left out, because no rate is known.
    pub orders_without_rate: u32,
    /// Unmatched refunds left out, because no rate is known.
    pub refunds_without_rate: u32,
    /// Ever.
    pub ever: Window,
    /// Refunds in it that no order is known for.
    pub unmatched_refunds_minor: i64,
    /// Net revenue of orders ever, without those.
    pub orders_minor: i64,
    /// The 30, 90 and 365 days that end with the last full day.
    pub trailing: [Window; 3],
    /// The 30, 90 and 365 days that begin with the first order's; `None` until they are over, and before an order. A refund that came
    /// before the first order is in none of them, also where it came on the same day.
    pub since_first: [Option<Window>; 3],
    /// Days with an order.
    pub purchase_days: u32,
    /// The first of them; `None` before an order.
    pub first_day: Option<i32>,
    /// The last of them.
    pub last_day: Option<i32>,
    /// Time of the first order, milliseconds UTC.
    pub first_order_ms: Option<i64>,
    /// Time of the latest order.
    pub last_order_ms: Option<i64>,
}

impl Realised {
    /// Mean net revenue of a purchase day, unmatched refunds apart, rounded half away from zero; `None` before an order with a rate.
    pub fn mean_day_minor(&self) -> Option<i64> {
        let is_known = self.orders > self.orders_without_rate;
        is_known.then(|| (self.orders_minor as f64 / f64::from(self.purchase_days.max(1))).round() as i64)
    }
}

/// What is known at `as_of`. What is too old to be revised is known whenever.
pub(super) fn realised(buyer: &Buyer, as_of: &AsOf, rules: &Rules) -> Realised {
    let past = &buyer.past;
    let has_past = past.orders > 0;
    let mut all = Realised {
        orders: past.orders,
        orders_without_rate: past.orders_without_rate,
        refunds_without_rate: past.refunds_without_rate,
        ever: Window::default(),
        unmatched_refunds_minor: past.unmatched_refunds_minor,
        orders_minor: past.revenue_minor.saturating_add(past.unmatched_refunds_minor),
        trailing: [Window::default(); 3],
        since_first: [None; 3],
        purchase_days: past.days,
        first_day: has_past.then_some(past.first_day),
        last_day: has_past.then_some(past.last_day),
        first_order_ms: has_past.then_some(past.first_order_ms),
        last_order_ms: has_past.then_some(past.last_order_ms),
    };
    let mut ever =
        Sums { revenue_minor: past.revenue_minor, cost_minor: past.cost_minor, without_cost: past.orders_without_cost };
    let mut trailing = [Sums::default(); 3];
    let mut since_first = [0, 1, 2].map(|at: usize| Sums {
        revenue_minor: past.since_first_minor[at],
        cost_minor: past.since_first_cost_minor[at],
        without_cost: past.since_first_without_cost[at],
    });
    let mut post = |day: i32, first_day: Option<i32>, sums: &Sums| {
        ever.add(sums);
        for (at, length) in WINDOW_DAYS.into_iter().enumerate() {
            if day <= as_of.last_full_day && day > as_of.last_full_day.saturating_sub(length) {
                trailing[at].add(sums);
            }
            if first_day.is_some_and(|first| day >= first && day < first.saturating_add(length)) {
                since_first[at].add(sums);
            }
        }
    };
    for order in &buyer.orders {
        let day = rules.days.day_of(order.place.time_ms);
        if day > as_of.day {
            break;
        }
        all.orders = all.orders.saturating_add(1);
        all.first_day.get_or_insert(day);
        all.first_order_ms.get_or_insert(order.place.time_ms);
        all.last_order_ms = all.last_order_ms.max(Some(order.place.time_ms));
        if all.last_day.is_none_or(|last| day > last) {
            all.purchase_days = all.purchase_days.saturating_add(1);
            all.last_day = Some(day);
        }
        let Some(worth) = worth(order) else {
            all.orders_without_rate = all.orders_without_rate.saturating_add(1);
            continue;
        };
        all.orders_minor = all.orders_minor.saturating_add(worth.net_minor);
        let sums = Sums {
            revenue_minor: worth.net_minor,
            cost_minor: worth.cost_minor.unwrap_or(0),
            without_cost: u32::from(worth.cost_minor.is_none()),
        };
        post(day, all.first_day, &sums);
    }
    for refund in &buyer.refunds {
        let day = rules.days.day_of(refund.place.time_ms);
        if day > as_of.day {
            break;
        }
        let Some(minor) = refund.unmatched_reporting_minor() else {
            all.refunds_without_rate = all.refunds_without_rate.saturating_add(1);
            continue;
        };
        all.unmatched_refunds_minor = all.unmatched_refunds_minor.saturating_add(minor);
        let is_after_an_order = has_past || buyer.orders.first().is_some_and(|first| first.place < refund.place);
        post(
            day,
            all.first_day.filter(|_| is_after_an_order),
            &Sums { revenue_minor: minor.saturating_neg(), ..Sums::default() },
        );
    }
    all.ever = ever.window();
    all.trailing = trailing.map(|sums| sums.window());
    for (at, length) in WINDOW_DAYS.into_iter().enumerate() {
        let is_over = all.first_day.is_some_and(|first| as_of.last_full_day >= first.saturating_add(length - 1));
        all.since_first[at] = is_over.then(|| since_first[at].window());
    }
    all
}
