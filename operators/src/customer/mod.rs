//! What churn and CLV share: who a customer is, which days they bought on, and the moment something is computed for.
//!
//! Days are the site's: an IANA zone from the time zone database that is built in, so that the same log gives the same days on every
//! machine. That database's version is part of the logic version: where the rules of a zone change for a date that has passed, a
//! rebuild may give another day.

pub mod as_of;
pub mod past;
pub mod purchase_days;
pub mod site_days;

pub use as_of::AsOf;
pub use past::{WINDOW_DAYS, fold_order, fold_refund};
pub use purchase_days::PurchaseDays;
pub use site_days::SiteDays;

use crate::core::RecordKey;
use crate::core::watermark::UNKNOWN_MS;

/// Whose records are written. Records of a customer are keyed by the person, and a person's partition never changes: their
/// revisions have no hand-overs.
#[derive(Debug, Clone, Copy)]
pub struct Customer<'a> {
    /// The shop.
    pub site: &'a str,
    /// (site, person).
    pub key: RecordKey,
    /// The user behind the person.
    pub user_id: Option<&'a str>,
}

/// Hand-overs of a record that is keyed by the person.
pub(crate) const NO_HAND_OVERS: u16 = 0;

/// The last day whose end the watermark has passed; `None` before the watermark is known.
pub(crate) fn last_ended_day(days: &SiteDays, watermark_ms: i64) -> Option<i32> {
    (watermark_ms != UNKNOWN_MS).then(|| days.day_of(watermark_ms.saturating_sub(1)).saturating_sub(1))
}

#[cfg(test)]
mod cdnow;
#[cfg(test)]
pub(crate) mod testing;
