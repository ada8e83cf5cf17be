//! Closes sessions that are over and frees those that nothing can amend any more.

use std::sync::Arc;

use super::{Rules, Session, SourceSessions};

/// When something is next due: the closing of an open session or the freeing of a closed one; `None` where there is no session.
pub fn next_due_ms(sessions: &SourceSessions, rules: &Rules) -> Option<i64> {
    sessions.list.iter().map(|session| due_ms(session, rules)).min()
}

/// When one session is due.
pub(super) fn due_ms(session: &Session, rules: &Rules) -> i64 {
    if session.closed { rules.frees_at_ms(session) } else { rules.closes_at_ms(session) }
}

/// Closes what was due before `watermark_ms`, calling `closed` for each in the order of their first events, and frees what no event
/// can reach.
pub fn on_timer(sessions: &mut SourceSessions, rules: &Rules, watermark_ms: i64, mut closed: impl FnMut(&Session)) {
    for session in &mut sessions.list {
        if !session.closed && watermark_ms > rules.closes_at_ms(session) {
            let session = Arc::make_mut(session);
            session.closed = true;
            closed(session);
        }
    }
    if let Some(first_kept) = first_to_free(sessions, rules, watermark_ms) {
        free(sessions, rules, watermark_ms, first_kept);
    }
}

fn first_to_free(sessions: &SourceSessions, rules: &Rules, watermark_ms: i64) -> Option<usize> {
    sessions.list.iter().position(|session| session.closed && watermark_ms > rules.frees_at_ms(session))
}

fn free(sessions: &mut SourceSessions, rules: &Rules, watermark_ms: i64, from: usize) {
    let freed: Vec<Arc<Session>> = sessions
        .list
        .iter()
        .skip(from)
        .filter(|session| session.closed && watermark_ms > rules.frees_at_ms(session))
        .cloned()
        .collect();
    sessions.list.retain(|session| freed.iter().all(|gone| gone.id != session.id));
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
}
