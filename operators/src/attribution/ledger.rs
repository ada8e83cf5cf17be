//! All touches of a person as they stand, and the path that led to an order.

use smallvec::SmallVec;

use super::Rules;
use super::touch::{Touch, clamped, order_key};
use super::touches::{Iter, Touches};
use crate::buyer::Bought;
use crate::core::limits::TOUCHES_PER_PATH;
use crate::sessions::SourceSessions;

/// All touches of a person, copied: taken before and after a change. Equal where no path has changed; where it is not, a path may
/// have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    packed: SmallVec<[u8; 256]>,
}

/// The touches before an order, oldest first.
pub type Path<'a> = SmallVec<[Touch<'a>; 8]>;

impl Ledger {
    /// What a person's sources have, each with its sessions and what it remembers of earlier ones, and those that name an order.
    pub fn of<'a>(sources: impl IntoIterator<Item = (&'a SourceSessions, &'a Touches)>, named: &Touches) -> Self {
        let mut packed = SmallVec::new();
        for (sessions, touches) in sources {
            packed.extend_from_slice(touches.as_bytes());
            for touch in sessions.list.iter().filter_map(|session| Touch::of_session(session)) {
                touch.encode(&mut packed);
            }
        }
        packed.extend_from_slice(named.as_bytes());
        Self { packed }
    }

    /// The touches by time and id.
    pub fn touches(&self) -> Sorted<'_> {
        let mut touches: Vec<Touch<'_>> = Iter::new(&self.packed).collect();
        touches.sort_unstable_by_key(Touch::place);
        let mut ids: Vec<_> = touches.iter().map(|touch| touch.id).collect();
        ids.sort_unstable();
        let is_plain = ids.is_sorted_by(|a, b| a < b) && touches.iter().all(|touch| touch.order.is_none());
        Sorted { touches, is_plain }
    }
}

/// Whether an event of a source at this time can change a credit of these orders. It cannot where it and all visits that can still be
/// amended began after the newest of them: what it changes is no touch of theirs. For nearly everybody the answer costs a comparison.
pub fn may_revise(orders: &[Bought], sessions: &SourceSessions, event_time_ms: i64) -> bool {
    // Sorted by place.
    let Some(newest) = orders.last() else { return false };
    let is_before = |time_ms: i64| time_ms <= newest.place.time_ms;
    is_before(event_time_ms) || sessions.list.first().is_some_and(|session| is_before(session.first.order.time_ms))
}

/// Touches by time and id.
#[derive(Debug, Clone)]
pub struct Sorted<'a> {
    touches: Vec<Touch<'a>>,
    /// None repeats, none names an order.
    is_plain: bool,
}

impl<'a> Sorted<'a> {
    /// The times between which these and others differ; `None` where they are the same.
    pub fn difference(&self, other: &Sorted<'_>) -> Option<(i64, i64)> {
        let (a, b) = (&self.touches, &other.touches);
        let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        if same == a.len() && same == b.len() {
            return None;
        }
        let times =
            |touches: &[Touch<'_>]| touches.get(same).zip(touches.last()).map(|(from, to)| (from.at_ms, to.at_ms));
        match (times(a), times(b)) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (one, other) => one.or(other),
        }
    }

    /// Those that led to `order`: at or before it, within the lookback, each once (at its earliest), the newest
    /// [`TOUCHES_PER_PATH`] of them.
    pub fn path(&self, order: &Bought, rules: &Rules) -> Path<'a> {
        let ordered_at_ms = clamped(order.place.time_ms);
        let from = self.touches.partition_point(|touch| ordered_at_ms.saturating_sub(touch.at_ms) > rules.lookback_ms);
        let to = self.touches.partition_point(|touch| touch.at_ms <= ordered_at_ms);
        let window = self.touches.get(from..to).unwrap_or_default();
        if self.is_plain {
            return newest(window);
        }
        let key = order_key(&order.order_id);
        let mut path: Vec<Touch<'a>> =
            window.iter().filter(|touch| touch.order.is_none_or(|named| named == key)).copied().collect();
        path.sort_by_key(|touch| (touch.id, touch.at_ms));
        path.dedup_by_key(|touch| touch.id);
        path.sort_unstable_by_key(Touch::place);
        newest(&path)
    }
}

fn newest<'a>(touches: &[Touch<'a>]) -> Path<'a> {
    let from = touches.len().saturating_sub(TOUCHES_PER_PATH);
    touches.iter().skip(from).copied().collect()
}
