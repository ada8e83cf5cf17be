//! The formula.

use crate::sessions::Session;

/// Version of the formula.
pub const VERSION: &str = "engagement-1";

/// Engaged time that earns half of its points.
const HALF_TIME_MS: i64 = 60_000;
/// Page views that earn half of their points.
const HALF_PAGE_VIEWS: i64 = 4;
/// Deepest point of the funnel.
const FUNNEL_DEPTH_MAX: i64 = 6;

/// A score by its parts, hundredths of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// Engaged time: at most 4,000.
    pub engaged_time: u16,
    /// Funnel and scroll depth: at most 4,000.
    pub depth: u16,
    /// Page views: at most 2,000.
    pub page_views: u16,
}

/// `most × value / (value + half)`, rounded down.
fn saturating(most: i64, value: i64, half: i64) -> u16 {
    // Beyond a day or a million page views nothing changes; the bound keeps the product small.
    let value = value.clamp(0, 100_000_000);
    u16::try_from(most * value / (value + half)).unwrap_or(u16::MAX)
}

impl Parts {
    /// The parts of a session's score.
    pub fn of(session: &Session) -> Self {
        let funnel = 3_000 * i64::from(session.funnel_depth).min(FUNNEL_DEPTH_MAX) / FUNNEL_DEPTH_MAX;
        let scroll = 10 * i64::from(session.scroll_depth_pct).min(100);
        Self {
            engaged_time: saturating(4_000, session.engaged_ms, HALF_TIME_MS),
            depth: u16::try_from(funnel + scroll).unwrap_or(u16::MAX),
            page_views: saturating(2_000, session.page_views(), HALF_PAGE_VIEWS),
        }
    }

    /// The score, hundredths of a point: 0 to 10,000.
    pub fn hundredths(&self) -> u16 {
        self.engaged_time + self.depth + self.page_views
    }

    /// What the score is made of, largest share first; parts without points are left out.
    pub fn reasons(&self) -> Vec<&'static str> {
        let mut parts = [(self.engaged_time, "engaged_time"), (self.depth, "depth"), (self.page_views, "page_views")];
        // Stable: equal shares stay in this order.
        parts.sort_by_key(|(points, _)| std::cmp::Reverse(*points));
        parts.into_iter().filter(|(points, _)| *points > 0).map(|(_, name)| name).collect()
    }
}

/// A session's score, hundredths of a point: 0 to 10,000.
pub fn hundredths(session: &Session) -> u16 {
    Parts::of(session).hundredths()
}
