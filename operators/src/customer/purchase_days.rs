//! The days on which a customer bought, as far as scoring may use them.

use millstream_schemas::purposes;
use millstream_scoring::btyd::{DAYS_PER_WEEK, History};

use super::{AsOf, SiteDays};
use crate::buyer::{Bought, Buyer};

/// Purchase days of orders with the purpose *personalization*: what BG/NBD needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PurchaseDays {
    /// How many; at least 1.
    pub days: u32,
    /// The first, days since 1970-01-01.
    pub first_day: i32,
    /// The last.
    pub last_day: i32,
}

/// Whether scores may use an order.
pub(crate) fn may_score(order: &Bought) -> bool {
    i32::from(order.consent) & purposes::PERSONALIZATION != 0
}

impl PurchaseDays {
    /// The purchase days known at `as_of`; `None` where there is none. What is too old to be revised is known whenever.
    pub fn of(buyer: &Buyer, as_of: &AsOf, site_days: &SiteDays) -> Option<Self> {
        let past = &buyer.past.scored;
        let mut all =
            (past.days > 0).then_some(Self { days: past.days, first_day: past.first_day, last_day: past.last_day });
        for order in buyer.orders.iter().filter(|order| may_score(order)) {
            let day = site_days.day_of(order.place.time_ms);
            if day > as_of.day {
                break;
            }
            all = Some(Self::with(all, day));
        }
        all
    }

    /// The days with one more, not before the last.
    pub fn with(all: Option<Self>, day: i32) -> Self {
        let Some(all) = all else { return Self { days: 1, first_day: day, last_day: day } };
        let is_new = day > all.last_day;
        Self { days: all.days.saturating_add(u32::from(is_new)), last_day: all.last_day.max(day), ..all }
    }

    /// As BG/NBD takes it, on `day`.
    pub fn history(&self, day: i32) -> History {
        let weeks = |day: i32| f64::from(day.saturating_sub(self.first_day).max(0)) / DAYS_PER_WEEK;
        History {
            repeats: self.days.saturating_sub(1),
            latest_weeks: weeks(self.last_day),
            age_weeks: weeks(day.max(self.last_day)),
        }
    }
}
