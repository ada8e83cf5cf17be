//! What each touch has of an order, under each model.

use millstream_schemas::{Id, purposes};

use super::ledger::{Ledger, Path};
use super::model::Model;
use super::share::divide;
use super::touch::Touch;
use super::{HalfLife, Rules};
use crate::buyer::Bought;

/// The share of one order that one model gives to one touch.
#[derive(Debug, Clone)]
pub struct Credit<'a> {
    /// The order.
    pub order: &'a Bought,
    /// The model.
    pub model: Model,
    /// The touch; `None` where the order has none.
    pub touch: Option<Touch<'a>>,
    /// Its place in the path, from 1; 0 without a touch.
    pub position: u32,
    /// Touches in the path.
    pub touches: u32,
    /// Share of the order, 0 to 1.
    pub weight: f64,
    /// Revenue before refunds, minor units of the order's currency.
    pub gross_minor: i64,
    /// Refunds.
    pub refunded_minor: i64,
    /// Net revenue in the reporting currency; `None` without a rate.
    pub reporting_credited_minor: Option<i64>,
    /// Net revenue less cost; `None` without cost.
    pub margin_minor: Option<i64>,
}

impl Credit<'_> {
    /// Net revenue, minor units of the order's currency.
    pub fn credited_minor(&self) -> i64 {
        self.gross_minor.saturating_sub(self.refunded_minor)
    }

    /// What it is found by among the credits of its order.
    pub fn key(&self) -> (Model, Option<Id>) {
        (self.model, self.touch.map(|touch| touch.id))
    }

    /// Purposes of the order and of the touch.
    pub fn consent(&self) -> u8 {
        self.order.consent & self.touch.map_or(u8::MAX, |touch| touch.consent) & purposes::ALL as u8
    }

    /// Whether its record would say the same.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let amounts = |credit: &Self| {
            (credit.gross_minor, credit.refunded_minor, credit.reporting_credited_minor, credit.margin_minor)
        };
        let of_order = |order: &Bought| (order.place.time_ms, order.currency, order.is_bot);
        self.key() == other.key()
            && self.touch == other.touch
            && (self.position, self.touches) == (other.position, other.touches)
            && self.weight.to_bits() == other.weight.to_bits()
            && amounts(self) == amounts(other)
            && self.consent() == other.consent()
            && of_order(self.order) == of_order(other.order)
            && self.order.order_id == other.order.order_id
    }
}

/// The amounts of an order that are divided.
struct Amounts {
    gross: i64,
    refunded: i64,
    /// Revenue and refunds in the reporting currency.
    reporting: Option<(i64, i64)>,
    cost: Option<i64>,
}

impl Amounts {
    fn of(order: &Bought) -> Self {
        let (gross, refunded) = (order.amount_minor, order.refunded_minor());
        let reporting = order.reporting_amount_minor.zip(order.net_reporting_minor());
        let reporting = reporting.map(|(gross, net)| (gross, gross.saturating_sub(net)));
        Self { gross, refunded, reporting, cost: order.cost_minor }
    }
}

/// The credits of an order over the touches that led to it, oldest first. Under each model they add up to the order exactly: gross,
/// refunded, credited, reporting amount and margin. None without the purpose *analytics*.
pub fn credits<'a>(
    touches: impl IntoIterator<Item = Touch<'a>>,
    order: &'a Bought,
    half_life: HalfLife,
) -> Vec<Credit<'a>> {
    let mut out = Vec::new();
    if may_credit(order) {
        credit_path(&touches.into_iter().collect(), order, half_life, &mut out);
    }
    out
}

/// Whether an order may be attributed.
fn may_credit(order: &Bought) -> bool {
    i32::from(order.consent) & purposes::ANALYTICS != 0
}

/// All credits of a person, order by order.
pub fn credits_of<'a>(
    ledger: &'a Ledger,
    orders: impl IntoIterator<Item = &'a Bought>,
    rules: &Rules,
) -> Vec<Credit<'a>> {
    let touches = ledger.touches();
    let mut out = Vec::new();
    for order in orders.into_iter().filter(|order| may_credit(order)) {
        credit_path(&touches.path(order, rules), order, rules.half_life, &mut out);
    }
    out
}

fn credit_path<'a>(path: &Path<'a>, order: &'a Bought, half_life: HalfLife, out: &mut Vec<Credit<'a>>) {
    let amounts = Amounts::of(order);
    let mut weights = Vec::new();
    for model in Model::ALL {
        weights.clear();
        model.weights(path, half_life, &mut weights);
        if path.is_empty() {
            weights.push(1);
        }
        let total: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
        let gross = divide(amounts.gross, &weights);
        let refunded = divide(amounts.refunded, &weights);
        let reporting = amounts.reporting.map(|(gross, back)| (divide(gross, &weights), divide(back, &weights)));
        let cost = amounts.cost.map(|cost| divide(cost, &weights));
        let share = |shares: &[i64], at: usize| shares.get(at).copied().unwrap_or(0);
        for (at, &weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0) {
            let (gross_minor, refunded_minor) = (share(&gross, at), share(&refunded, at));
            let net = gross_minor.saturating_sub(refunded_minor);
            let touch = path.get(at).copied();
            out.push(Credit {
                order,
                model,
                touch,
                // A path is bounded.
                position: if touch.is_some() { at as u32 + 1 } else { 0 },
                touches: path.len() as u32,
                weight: weight as f64 / total as f64,
                gross_minor,
                refunded_minor,
                reporting_credited_minor: reporting
                    .as_ref()
                    .map(|(gross, back)| share(gross, at).saturating_sub(share(back, at))),
                margin_minor: cost.as_ref().map(|cost| net.saturating_sub(share(cost, at))),
            });
        }
    }
}
