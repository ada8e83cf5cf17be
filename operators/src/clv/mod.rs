//! Customer value: what a customer has been worth, and is expected to be.
//!
//! **Realised**: net revenue and margin ever, in the 30, 90 and 365 days that end at the site's last midnight, and in the 30, 90 and
//! 365 days that begin with the day of the first order. The latter are null until they are over, so that customers are compared at
//! equal age. A refund that names its order, or was matched to one, lowers that order's revenue on the order's day; what no order is
//! known for lowers revenue on the refund's own day. Margin is net revenue less cost (a refund gives no cost back), null where an
//! order lacks its cost. Orders and refunds without a rate into the reporting currency are left out and counted. For all of this the
//! purpose *necessary* suffices.
//!
//! **Predicted**: expected purchase days (BG/NBD) in the 30, 90 and 365 days ahead times the expected net revenue of a purchase day
//! (Gamma-Gamma, from the days after the first; without its parameters the customer's own mean of all days). Not discounted. Needs
//! the purpose *personalization*: other orders are as if they had not been; without any there is no prediction.
//!
//! **When it is told.** At each fact, as of the latest order or refund. After that at the end of a day on which the tier has
//! changed, the prediction has fallen by the configured share of what it was, a trailing window has changed by that share of the
//! revenue ever (an order enters when its day is over, and leaves), or a window since the first order is over. That day is solved
//! for, as in [`churn`](crate::churn), so that a timer that fires always has something to tell; late facts walk the same way.
//!
//! State: [`state`]. Computation: [`figures`](mod@figures), [`realised`], [`predicted`]. Facts: [`on_fact`](mod@on_fact). Timers:
//! [`on_timer`](mod@on_timer), [`next_day`]. Records: [`outputs`].

pub mod codec;
pub mod figures;
pub mod next_day;
pub mod on_fact;
pub mod on_timer;
pub mod outputs;
pub mod predicted;
pub mod realised;
pub mod settings;
pub mod state;
pub mod tier;

#[cfg(test)]
mod tests;

pub use figures::{Figures, figures};
pub use on_fact::on_fact;
pub use on_timer::{next_due_ms, on_timer};
pub use outputs::emit;
pub use predicted::Predicted;
pub use realised::{Realised, Window};
pub use settings::ClvSettings;
pub use state::Emitted;
pub use tier::Tier;

use std::sync::Arc;

use millstream_scoring::btyd::BtydModel;

use crate::churn;
use crate::customer::SiteDays;
use crate::site::SiteConfig;

/// What decides a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The site's calendar.
    pub days: SiteDays,
    /// Tiers and difference.
    pub settings: ClvSettings,
    /// How often customers buy and what they spend.
    pub model: Arc<BtydModel>,
    /// The site's reporting currency, ISO 4217.
    pub currency: Box<str>,
}

impl Rules {
    /// A shop's rules. Settings are checked when they are read, so that the zone is one; UTC else.
    pub fn of(site: &SiteConfig) -> Self {
        Self {
            days: SiteDays::of_zone(&site.timezone).unwrap_or_else(SiteDays::utc),
            settings: site.clv,
            model: site.btyd.clone().unwrap_or_else(churn::built_in),
            currency: site.currency.as_str().into(),
        }
    }
}
