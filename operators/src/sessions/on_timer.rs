//! Closes sessions that are over and frees those that nothing can amend any more.

use std::sync::Arc;

use super::{List, Rules, Session, SourceSessions};

/// When something is next due: the closing of an open session or the freeing of the first, if it is closed; `None` where there is no
/// session.
pub fn next_due_ms(sessions: &SourceSessions, rules: &Rules) -> Option<i64> {
    let first = sessions.list.first().map(|session| due_ms(session, rules));
    let open = sessions.list.iter().skip(1).filter(|session| !session.closed);
    open.map(|session| rules.closes_at_ms(session)).chain(first).min()
}

/// When one session is due.
pub(super) fn due_ms(session: &Session, rules: &Rules) -> i64 {
    if session.closed { rules.frees_at_ms(session) } else { rules.closes_at_ms(session) }
}

/// Closes what was due before `watermark_ms`, calling `closed` for each in the order of their first events, and says whether it is
/// the latest under its key (a tracker's id may have begun anew). Then frees what no event can reach, in that order, and returns it.
pub fn on_timer(
    sessions: &mut SourceSessions,
    rules: &Rules,
    watermark_ms: i64,
    mut closed: impl FnMut(&Session, bool),
) -> List {
    for at in 0..sessions.list.len() {
        let (past, later) = sessions.list.split_at_mut(at + 1);
        let Some(session) = past.last_mut() else { continue };
        if !session.closed && watermark_ms > rules.closes_at_ms(session) {
            let session = Arc::make_mut(session);
            session.closed = true;
            closed(session, is_latest(session, later));
        }
    }
    let is_over = |session: &&Arc<Session>| session.closed && watermark_ms > rules.frees_at_ms(session);
    match sessions.list.iter().take_while(is_over).count() {
        0 => List::new(),
        count => free(sessions, count),
    }
}

/// Whether none of the sessions after it has its key.
pub fn is_latest(session: &Session, later: &[Arc<Session>]) -> bool {
    !session.by_tracker || later.iter().all(|other| other.id != session.id)
}

/// Takes the first sessions out.
pub fn free(sessions: &mut SourceSessions, count: usize) -> List {
    let freed: List = sessions.list.drain(..count.min(sessions.list.len())).collect();
    if let Some(single) = &mut sessions.single {
        single.retain(|event| {
            freed.iter().all(|gone| event.first.order < gone.first.order || event.first.order > gone.last)
        });
    }
    // What is left at rest is kept tight.
    sessions.list.shrink_to_fit();
    if sessions.list.is_empty() {
        sessions.single = None;
    }
    freed
}
