//! Puts an event into the sessions of its source.

use std::sync::Arc;

use millstream_schemas::{Event, purposes};

use super::{Changes, List, Rules, Seen, Session, SourceSessions, campaign};
use crate::core::EventKind;
use crate::propensity;

/// Whether an event reaches this operator.
pub fn reaches(event: &Event<'_>, kind: EventKind) -> bool {
    kind.is_visit() && event.consent & purposes::ANALYTICS != 0
}

/// Adds an event that [`reaches`] the operator. `watermark_ms` says which sessions are over already.
pub fn on_event(
    sessions: &mut SourceSessions,
    seen: &Seen<'_>,
    rules: &Rules,
    watermark_ms: i64,
    changes: &mut Changes,
) {
    let by_tracker = rules.by_tracker && seen.event.tracker_session_id.is_some();
    if by_tracker {
        place_by_tracker(&mut sessions.list, seen, changes);
    } else if rules.by_campaign {
        campaign::place(sessions, seen, rules, changes);
    } else {
        place_by_gap(&mut sessions.list, seen, rules.gap_ms, changes);
    }
    settle_closing(&mut sessions.list, rules, watermark_ms, changes);
}

fn place_by_tracker(list: &mut List, seen: &Seen<'_>, changes: &mut Changes) {
    let single = Session::of(seen, true);
    let rescore = propensity::reaches(seen.event, seen.kind);
    changes.touch(single.id, rescore);
    match list.iter().position(|session| session.id == single.id) {
        Some(at) => {
            if let Some(session) = list.get_mut(at) {
                Arc::make_mut(session).add(seen);
            }
            restore_order(list, at);
        }
        None => insert(list, Arc::new(single)),
    }
}

fn place_by_gap(list: &mut List, seen: &Seen<'_>, gap_ms: i64, changes: &mut Changes) {
    let rescore = propensity::reaches(seen.event, seen.kind);
    let time_ms = seen.order.time_ms;
    // From the end: nearly every event belongs to the latest session.
    let after_left = list.iter().rposition(|session| session.first.order <= seen.order).map_or(0, |at| at + 1);
    let left = list.iter().take(after_left).rposition(|session| !session.by_tracker);
    let right = list.iter().skip(after_left).position(|session| !session.by_tracker).map(|at| at + after_left);
    let left =
        left.filter(|&at| list.get(at).is_some_and(|session| time_ms.saturating_sub(session.last.time_ms) <= gap_ms));
    let right = right.filter(|&at| {
        list.get(at).is_some_and(|session| session.first.order.time_ms.saturating_sub(time_ms) <= gap_ms)
    });
    match (left, right) {
        (Some(left), None) => {
            if let Some(session) = list.get_mut(left) {
                Arc::make_mut(session).add(seen);
                changes.touch(session.id, rescore);
            }
        }
        (Some(left), Some(right)) => {
            let bridged = list.remove(right);
            if let Some(session) = list.get_mut(left) {
                let session = Arc::make_mut(session);
                session.add(seen);
                session.absorb(&bridged);
                changes.touch(session.id, rescore || !bridged.activity.is_empty());
            }
            changes.cease(bridged);
        }
        (None, Some(right)) => {
            if let Some(session) = list.get_mut(right) {
                let old = session.clone();
                Arc::make_mut(session).add(seen);
                changes.touch(session.id, !session.activity.is_empty());
                changes.cease(old);
            }
            restore_order(list, right);
        }
        (None, None) => {
            let session = Session::of(seen, false);
            changes.touch(session.id, rescore);
            list.insert(after_left, Arc::new(session));
        }
    }
}

/// Inserts a session by its first event.
pub(super) fn insert(list: &mut List, session: Arc<Session>) {
    let at = list.partition_point(|other| other.first.order <= session.first.order);
    list.insert(at, session);
}

/// Moves the session at `at` back to its place, after its first event has become an earlier one.
fn restore_order(list: &mut List, at: usize) {
    let moved = at.checked_sub(1).and_then(|before| list.get(before)).zip(list.get(at));
    if moved.is_some_and(|(before, session)| before.first.order > session.first.order) {
        let session = list.remove(at);
        insert(list, session);
    }
}

/// Closes and re-opens: a session is over when a later gap session exists or the watermark has passed its end.
pub(super) fn settle_closing(list: &mut [Arc<Session>], rules: &Rules, watermark_ms: i64, changes: &mut Changes) {
    let mut later_exists = false;
    for session in list.iter_mut().rev() {
        let superseded = later_exists && !session.by_tracker;
        later_exists |= !session.by_tracker;
        let closed = superseded || watermark_ms > rules.closes_at_ms(session);
        if session.closed != closed {
            Arc::make_mut(session).closed = closed;
            changes.touch(session.id, false);
        }
    }
}
