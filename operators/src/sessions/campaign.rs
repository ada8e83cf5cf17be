//! Gap sessions that a change of campaign splits.
//!
//! A split cannot be undone from summaries, so this mode keeps every event that can still be amended as a summary of its own and
//! cuts the neighbourhood of a new one again.

use std::sync::Arc;

use super::{Changes, List, Rules, Seen, Session, SourceSessions};
use crate::core::limits::EVENTS_PER_SOURCE;

/// Adds an event.
pub(super) fn place(sessions: &mut SourceSessions, seen: &Seen<'_>, rules: &Rules, changes: &mut Changes) {
    place_single(sessions, Arc::new(Session::of(seen, false)), rules, changes);
}

/// Adds an event that is a session of its own.
pub(super) fn place_single(sessions: &mut SourceSessions, event: Arc<Session>, rules: &Rules, changes: &mut Changes) {
    let gap_ms = rules.gap_ms;
    let list = &mut sessions.list;
    // Sessions from before the setting changed can be split no more: each counts as one event.
    let single = sessions
        .single
        .get_or_insert_with(|| Box::new(list.iter().filter(|session| !session.by_tracker).cloned().collect()));
    let at = single.partition_point(|other| other.first.order <= event.first.order);
    single.insert(at, event);

    let mut from = at;
    while from > 0 && !apart(single, from, gap_ms) {
        from -= 1;
    }
    let mut to = at + 1;
    while to < single.len() && !apart(single, to, gap_ms) {
        to += 1;
    }
    let fresh = cut(single.get(from..to).unwrap_or_default());
    replace(list, fresh, changes);
    fold(single);
}

/// Whether a gap divides the event at `at` from the one before.
fn apart(single: &[Arc<Session>], at: usize, gap_ms: i64) -> bool {
    let before = at.checked_sub(1).and_then(|before| single.get(before));
    before
        .zip(single.get(at))
        .is_none_or(|(before, event)| event.first.order.time_ms.saturating_sub(before.last.time_ms) > gap_ms)
}

/// Cuts neighbouring events into sessions: one that names another campaign than the session so far begins the next.
fn cut(events: &[Arc<Session>]) -> Vec<Session> {
    let mut sessions: Vec<Session> = Vec::new();
    for event in events {
        match sessions.last_mut() {
            Some(session) if !begins(event, session.campaign) => session.absorb(event),
            _ => {
                let mut session = Session::clone(event);
                session.closed = false;
                sessions.push(session);
            }
        }
    }
    sessions
}

fn begins(event: &Session, campaign: u64) -> bool {
    event.campaign != 0 && event.campaign != campaign
}

/// Puts `fresh` in the place of the sessions that held the same events.
fn replace(list: &mut List, fresh: Vec<Session>, changes: &mut Changes) {
    let (Some(first), Some(last)) = (fresh.first(), fresh.last()) else { return };
    let (from, to) = (first.first.order, last.last);
    let inside = |session: &Session| !session.by_tracker && session.last >= from && session.first.order <= to;
    let (old, mut kept): (List, List) = std::mem::take(list).into_iter().partition(|session| inside(session));
    for session in &fresh {
        let known = old.iter().find(|known| known.id == session.id);
        let mut session = session.clone();
        session.closed = known.is_some_and(|known| known.closed);
        match known {
            Some(known) if **known == session => kept.push(known.clone()),
            _ => {
                let rescore = known.is_none_or(|known| known.activity != session.activity);
                changes.touch(session.id, rescore);
                if let Some(known) = known.filter(|known| session.activity.is_empty() && !known.activity.is_empty()) {
                    changes.unscored.push(known.clone());
                }
                kept.push(Arc::new(session));
            }
        }
    }
    for session in old {
        if fresh.iter().all(|other| other.id != session.id) {
            changes.cease(session);
        }
    }
    kept.sort_by_key(|session| session.first.order);
    *list = kept;
}

/// Keeps the number of events bounded: the oldest are folded into one or, where a session ends between them, given up.
fn fold(single: &mut Vec<Arc<Session>>) {
    while single.len() > EVENTS_PER_SOURCE {
        let oldest = single.remove(0);
        if let Some(next) = single.first_mut()
            && !begins(next, oldest.campaign)
        {
            let mut folded = oldest;
            Arc::make_mut(&mut folded).absorb(next);
            *next = folded;
        }
    }
}
