//! Joins two sets of sessions of the same source: what was handed over and what has been seen here since.

use std::sync::Arc;

use super::on_event::{insert, settle_closing};
use super::{Changes, List, Rules, Session, SourceSessions, campaign};

/// Merges `other` into `sessions`, as if all its events had been seen here. Every session has a new revision, because the person of
/// `other` is another one and the history of those seen here has changed. The result is the same whichever side a session was on.
pub fn combine(
    sessions: &mut SourceSessions,
    other: SourceSessions,
    rules: &Rules,
    watermark_ms: i64,
    changes: &mut Changes,
) {
    if let Some(single) = other.single {
        for event in *single {
            campaign::place_single(sessions, event, rules, changes);
        }
        for session in other.list {
            changes.touch(session.id, !session.activity.is_empty());
            if session.by_tracker {
                combine_tracker(&mut sessions.list, session, rules, changes);
            } else if sessions.list.iter().all(|known| known.id != session.id) {
                // Re-cut under this id no more: the same events make other sessions together with those seen here.
                changes.cease(session);
            }
        }
    } else {
        for session in other.list {
            if session.by_tracker {
                combine_tracker(&mut sessions.list, session, rules, changes);
            } else {
                combine_gap(&mut sessions.list, session, rules.gap_ms, changes);
            }
        }
    }
    for session in &sessions.list {
        changes.touch(session.id, !session.activity.is_empty());
    }
    settle_closing(&mut sessions.list, rules, watermark_ms, changes);
}

fn combine_tracker(list: &mut List, session: Arc<Session>, rules: &Rules, changes: &mut Changes) {
    changes.touch(session.id, !session.activity.is_empty());
    let mut joined = session;
    // What was joined may reach further visits.
    while let Some(at) = list.iter().position(|known| known.id == joined.id && rules.are_one_visit(known, &joined)) {
        let known = list.remove(at);
        let joined = Arc::make_mut(&mut joined);
        joined.absorb(&known);
        joined.closed |= known.closed;
    }
    insert(list, joined);
}

fn combine_gap(list: &mut List, session: Arc<Session>, gap_ms: i64, changes: &mut Changes) {
    let near = |known: &Session| {
        !known.by_tracker
            && known.first.order.time_ms.saturating_sub(session.last.time_ms) <= gap_ms
            && session.first.order.time_ms.saturating_sub(known.last.time_ms) <= gap_ms
    };
    let (joined, apart): (List, List) = std::mem::take(list).into_iter().partition(|known| near(known));
    *list = apart;
    let mut merged = session.clone();
    for known in &joined {
        let merged = Arc::make_mut(&mut merged);
        merged.absorb(known);
        merged.closed |= known.closed;
    }
    for part in joined.into_iter().chain([session]) {
        if part.id != merged.id {
            changes.cease(part);
        }
    }
    changes.touch(merged.id, !merged.activity.is_empty());
    insert(list, merged);
}
