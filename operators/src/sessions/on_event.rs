//! Puts an event into the sessions of its source.

use std::sync::Arc;

use millstream_schemas::{Event, Id, purposes};

use super::on_timer::{due_ms, next_due_ms};
use super::{Changes, List, Rules, Seen, Session, SourceSessions, campaign};
use crate::core::EventKind;
use crate::propensity;

/// Whether an event reaches this operator.
pub fn reaches(event: &Event<'_>, kind: EventKind) -> bool {
    kind.is_visit() && event.consent & purposes::ANALYTICS != 0
}

/// Adds an event that [`reaches`] the operator. `watermark_ms` says which sessions are over already. Returns when something of the
/// session it went to is due; what is due of others does not change.
pub fn on_event(
    sessions: &mut SourceSessions,
    seen: &Seen<'_>,
    rules: &Rules,
    watermark_ms: i64,
    changes: &mut Changes,
) -> Option<i64> {
    let list = &mut sessions.list;
    let at = if rules.by_tracker && seen.event.tracker_session_id.is_some() {
        place_by_tracker(list, seen, rules, changes)
    } else if rules.by_campaign {
        campaign::place(sessions, seen, rules, changes);
        settle_closing(&mut sessions.list, rules, watermark_ms, changes);
        return next_due_ms(sessions, rules);
    } else {
        place_by_gap(list, seen, rules.gap_ms, changes)
    };
    settle_closing_at(list, at, rules, watermark_ms, changes);
    list.get(at).map(|session| due_ms(session, rules))
}

fn place_by_tracker(list: &mut List, seen: &Seen<'_>, rules: &Rules, changes: &mut Changes) -> usize {
    let rescore = propensity::reaches(seen.event, seen.kind);
    let id = Session::id_of(seen, true);
    changes.touch(id, rescore);
    let at = add_by_tracker(list, id, seen, rules, changes);
    // Said by every event until something is scored: whether an earlier session's state is still here, and which event comes first,
    // depends on how inputs interleaved.
    let may_score = seen.event.consent & purposes::PERSONALIZATION != 0;
    if may_score && !rescore && list.get(at).is_some_and(|session| session.activity.is_empty()) {
        changes.blank(id, seen.event.consent);
    }
    at
}

/// The visits of one tracker session id are further apart than gap and horizon. That is decided from the events alone: whether the
/// watermark has freed an earlier visit yet depends on how inputs interleaved.
fn add_by_tracker(list: &mut List, id: Id, seen: &Seen<'_>, rules: &Rules, changes: &mut Changes) -> usize {
    let near = |session: &Arc<Session>| session.id == id && rules.is_same_visit(session, seen.order.time_ms);
    let Some(at) = list.iter().rposition(near) else {
        changes.reopen(id, false);
        return insert(list, Arc::new(Session::of(seen, true)));
    };
    // An event between two visits makes one of them.
    let earlier = list.iter().take(at).rposition(near);
    if let Some(session) = list.get_mut(at) {
        let begins_earlier = seen.order < session.first.order;
        Arc::make_mut(session).add(seen);
        // Then other sessions are before it, or it is before others, than were when they were scored.
        changes.touch(id, begins_earlier && !session.activity.is_empty());
    }
    let Some(earlier) = earlier else { return restore_order(list, at) };
    let later = list.remove(at);
    if let Some(session) = list.get_mut(earlier) {
        let session = Arc::make_mut(session);
        session.absorb(&later);
        session.closed |= later.closed;
        // Under the key stood the later visit alone.
        changes.touch(id, !session.activity.is_empty());
    }
    restore_order(list, earlier)
}

fn place_by_gap(list: &mut List, seen: &Seen<'_>, gap_ms: i64, changes: &mut Changes) -> usize {
    let rescore = propensity::reaches(seen.event, seen.kind);
    let time_ms = seen.order.time_ms;
    // From the end: nearly every event belongs to the latest session.
    let after_left = list.iter().rposition(|session| session.first.order <= seen.order).map_or(0, |at| at + 1);
    let left = list.iter().take(after_left).rposition(|session| !session.by_tracker);
    let right = list.iter().skip(after_left).position(|session| !session.by_tracker).map(|at| at + after_left);
    let near_left = |session: &Session| time_ms.saturating_sub(session.last.time_ms) <= gap_ms;
    let near_right = |session: &Session| session.first.order.time_ms.saturating_sub(time_ms) <= gap_ms;
    let left = left.filter(|&at| list.get(at).is_some_and(|session| near_left(session)));
    let right = right.filter(|&at| list.get(at).is_some_and(|session| near_right(session)));
    match (left, right) {
        (Some(left), None) => {
            if let Some(session) = list.get_mut(left) {
                Arc::make_mut(session).add(seen);
                changes.touch(session.id, rescore);
            }
            left
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
            left
        }
        (None, Some(right)) => {
            if let Some(session) = list.get_mut(right) {
                let old = session.clone();
                let session = Arc::make_mut(session);
                session.add(seen);
                // Under its new key it has not been closed yet.
                session.closed = false;
                changes.touch(session.id, !session.activity.is_empty());
                changes.cease(old);
            }
            restore_order(list, right)
        }
        (None, None) => {
            let session = Session::of(seen, false);
            changes.touch(session.id, rescore);
            list.insert(after_left, Arc::new(session));
            after_left
        }
    }
}

/// Inserts a session by its first event and returns its place.
pub(super) fn insert(list: &mut List, session: Arc<Session>) -> usize {
    let at = list.partition_point(|other| other.first.order <= session.first.order);
    list.insert(at, session);
    at
}

/// Moves the session at `at` back to its place, after its first event has become an earlier one. Returns that place.
fn restore_order(list: &mut List, at: usize) -> usize {
    let neighbours = at.checked_sub(1).and_then(|before| list.get(before)).zip(list.get(at));
    if neighbours.is_none_or(|(before, session)| before.first.order <= session.first.order) {
        return at;
    }
    let session = list.remove(at);
    insert(list, session)
}

/// After an event went to the session at `at`: that one may be over or go on, and a gap session before it is over. The others stay
/// as they were, so that they need not be looked at.
fn settle_closing_at(list: &mut List, at: usize, rules: &Rules, watermark_ms: i64, changes: &mut Changes) {
    let Some(session) = list.get(at) else { return };
    let by_tracker = session.by_tracker;
    let superseded = !by_tracker && list.iter().skip(at + 1).any(|other| !other.by_tracker);
    let closed = superseded || watermark_ms > rules.closes_at_ms(session);
    set_closed(list, at, closed, changes);
    if !by_tracker && let Some(before) = list.iter().take(at).rposition(|other| !other.by_tracker) {
        set_closed(list, before, true, changes);
    }
}

fn set_closed(list: &mut List, at: usize, closed: bool, changes: &mut Changes) {
    if let Some(session) = list.get_mut(at).filter(|session| session.closed != closed) {
        Arc::make_mut(session).closed = closed;
        changes.touch(session.id, false);
        if !closed {
            changes.reopen(session.id, true);
        }
    }
}

/// Closes and re-opens all: a session is over when a later gap session exists or the watermark has passed its end.
pub(super) fn settle_closing(list: &mut List, rules: &Rules, watermark_ms: i64, changes: &mut Changes) {
    let mut later_exists = false;
    for at in (0..list.len()).rev() {
        let Some(session) = list.get(at) else { continue };
        let superseded = later_exists && !session.by_tracker;
        later_exists |= !session.by_tracker;
        let closed = superseded || watermark_ms > rules.closes_at_ms(session);
        set_closed(list, at, closed, changes);
    }
}
