//! The moment something is computed for.

use super::SiteDays;

/// A moment, and what of the calendar lies before it.
///
/// Either an order or refund, whose own day counts as purchase day but is not over; or the midnight that ends a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsOf {
    /// Milliseconds UTC: `scored_at`.
    pub ms: i64,
    /// Purchases of this day and before are known.
    pub day: i32,
    /// The last day that is over: where trailing windows end.
    pub last_full_day: i32,
}

impl AsOf {
    /// The time of an order or refund.
    pub fn moment(ms: i64, days: &SiteDays) -> Self {
        let day = days.day_of(ms);
        Self { ms, day, last_full_day: day.saturating_sub(1) }
    }

    /// The midnight that ends `day`: when a timer for it is due.
    pub fn end_of(day: i32, days: &SiteDays) -> Self {
        Self { ms: days.midnight_ms(day.saturating_add(1)), day, last_full_day: day }
    }
}
