//! A customer's value at a moment.

use super::predicted::{Predicted, predicted};
use super::realised::{Realised, realised};
use super::{Rules, Tier};
use crate::buyer::Buyer;
use crate::customer::AsOf;

/// A customer's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// The moment.
    pub as_of: AsOf,
    /// What the customer has been worth.
    pub realised: Realised,
    /// What the customer is expected to be worth; `None` where no order may be used for that.
    pub predicted: Option<Predicted>,
    /// The tier.
    pub tier: Tier,
}

/// The value of a customer as of a moment; `None` where nothing was bought or given back by then.
pub fn figures(buyer: &Buyer, as_of: AsOf, rules: &Rules) -> Option<Figures> {
    let is_known = |time_ms: i64| rules.days.day_of(time_ms) <= as_of.day;
    let has_past = buyer.past.orders > 0 || buyer.past.refunds_without_rate > 0 || buyer.past.revenue_minor != 0;
    let has_any = has_past
        || buyer.orders.first().is_some_and(|order| is_known(order.place.time_ms))
        || buyer.refunds.first().is_some_and(|refund| is_known(refund.place.time_ms));
    has_any.then(|| {
        let predicted = predicted(buyer, &as_of, rules);
        let tier = predicted.map_or(Tier::None, |predicted| Tier::of(predicted.clv_minor[2], &rules.settings));
        Figures { as_of, realised: realised(buyer, &as_of, rules), predicted, tier }
    })
}
