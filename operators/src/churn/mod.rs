//! Churn: how likely a customer is to buy again, and how often.
//!
//! A function of the days on which the customer bought (site's time zone) and of the moment: BG/NBD's probability of at least one
//! purchase day, and its expected purchase days, in the 30, 90 and 365 days ahead. Not P(alive), which is 1 for everybody who bought
//! once. Orders without the purpose *personalization* are as if they had not been; without any other there is no score.
//!
//! **When it is told.** At each order fact, as of the customer's latest order. After that time alone passes, and with it
//! `p_active_90d` only falls (both its factors do), so that the day on which the tier changes or the configured difference is passed
//! can be solved for: the timer is set to the midnight that ends that day, and a timer that fires always has something to tell. A
//! customer costs at most 3 + 1/difference timers an order, 13 by default, nearly all of them in the first year; nobody is looked
//! at daily. After ten years of silence there is none.
//!
//! **Same answer whatever the interleaving.** What is told last is a function of orders and watermark alone: a fact that comes late
//! walks from the latest order through every day on which a timer would have told, up to the watermark, and tells the last of them.
//!
//! State: [`state`]. Computation: [`figures`](mod@figures). Facts: [`on_fact`](mod@on_fact). Timers: [`on_timer`](mod@on_timer).
//! Records: [`outputs`].

pub mod codec;
pub mod figures;
pub mod on_fact;
pub mod on_timer;
pub mod outputs;
pub mod settings;
pub mod state;
pub mod tier;

#[cfg(test)]
mod tests;

pub use figures::{Figures, HORIZON_DAYS, figures};
pub use on_fact::on_fact;
pub use on_timer::{next_due_ms, on_timer};
pub use outputs::emit;
pub use settings::ChurnSettings;
pub use state::Emitted;
pub use tier::Tier;

use std::sync::{Arc, LazyLock};

use millstream_scoring::btyd::BtydModel;

use crate::customer::SiteDays;
use crate::site::SiteConfig;

static BUILT_IN: LazyLock<Arc<BtydModel>> = LazyLock::new(|| Arc::new(BtydModel::built_in()));

/// The model where a shop has set none.
pub(crate) fn built_in() -> Arc<BtydModel> {
    BUILT_IN.clone()
}

/// What decides a score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The site's calendar.
    pub days: SiteDays,
    /// Tiers and difference.
    pub settings: ChurnSettings,
    /// How often customers buy.
    pub model: Arc<BtydModel>,
}

impl Rules {
    /// A shop's rules. Settings are checked when they are read, so that the zone is one; UTC else.
    pub fn of(site: &SiteConfig) -> Self {
        Self {
            days: SiteDays::of_zone(&site.timezone).unwrap_or_else(SiteDays::utc),
            settings: site.churn,
            model: site.btyd.clone().unwrap_or_else(built_in),
        }
    }
}
