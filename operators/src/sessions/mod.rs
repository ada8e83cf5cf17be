//! The sessions of a source.
//!
//! **Gap** (default): events of a source belong together while no two neighbours are more than the gap apart. An event exactly the
//! gap later still belongs to the session; strictly more starts a new one. `session_id` = hash(source, first event).
//! **Tracker**: the tracker's session id makes the session and no gap ends it; `session_id` = hash(source, that id). Events without
//! one fall back to gap sessions among themselves. **Campaign** (optional, gap sessions only): an event that carries another
//! campaign than its session starts a new one.
//!
//! The operator is right whatever the order of arrival inside the horizon: sessions are mergeable summaries, so that a late event
//! amends one, becomes its new first event (the key changes), bridges two (one key ceases), or makes one of its own. Keys that
//! cease get a revision marked `retracted`. A gap session is closed as soon as a later one of the source exists or the watermark
//! has passed last event + gap; a tracker session by the watermark alone. A late event may prolong and so re-open it.
//!
//! It is freed when the watermark has passed last event + gap + horizon (and some slack): no event that could amend it can be
//! accepted any more. Sessions of a source are freed in their order, so that those still held come after those that are not. A
//! tracker's session id that returns later than gap + horizon after the last event begins the key anew; within that it goes on, so
//! that such a session is kept for one horizon more. Both visits are counted; under their key stands the later one.
//!
//! Scores know of the sessions before: where a late event changes one, those after it are scored anew.
//!
//! Needs the purpose *analytics*. Refunds, offline orders and spend are no visits.

pub mod campaign;
pub mod changes;
pub mod codec;
pub mod combine;
pub mod on_event;
pub mod on_timer;
pub mod origin;
pub mod outputs;
pub mod state;

#[cfg(test)]
mod tests;

pub use changes::Changes;
pub use combine::combine;
pub use on_event::{on_event, reaches};
pub use on_timer::{free, is_latest, next_due_ms, on_timer};
pub use origin::Origin;
pub use outputs::{Owner, emit_changes, emit_closed};
pub use state::{Seen, Session, SessionOrder, tracker_session_id};

use std::sync::Arc;

use smallvec::SmallVec;

use crate::core::limits::SLACK_MS;
use crate::site::{SessionSource, SiteConfig};

/// What decides where a session begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Inactivity that ends a session, milliseconds.
    pub gap_ms: i64,
    /// How late an event may come, milliseconds.
    pub horizon_ms: i64,
    /// Whether the tracker's session ids make sessions.
    pub by_tracker: bool,
    /// Whether a change of campaign starts a new session.
    pub by_campaign: bool,
}

impl Rules {
    /// A shop's rules.
    pub fn of(site: &SiteConfig) -> Self {
        Self {
            gap_ms: site.session_gap_ms,
            horizon_ms: site.horizon_ms,
            by_tracker: site.session_source == SessionSource::Tracker,
            by_campaign: site.new_session_on_campaign,
        }
    }

    /// When a session with this last event is over, unless another event comes.
    pub fn closes_at_ms(&self, session: &Session) -> i64 {
        session.last.time_ms.saturating_add(self.gap_ms)
    }

    /// Whether an event of this time with the session's own tracker id belongs to it: no further from it than gap and horizon.
    pub fn is_same_visit(&self, session: &Session, time_ms: i64) -> bool {
        let reach_ms = self.gap_ms.saturating_add(self.horizon_ms);
        time_ms.saturating_sub(session.last.time_ms) <= reach_ms
            && session.first.order.time_ms.saturating_sub(time_ms) <= reach_ms
    }

    /// Whether two sessions with one tracker id are one.
    pub fn are_one_visit(&self, one: &Session, other: &Session) -> bool {
        let reach_ms = self.gap_ms.saturating_add(self.horizon_ms);
        let apart_ms =
            |earlier: &Session, later: &Session| later.first.order.time_ms.saturating_sub(earlier.last.time_ms);
        apart_ms(one, other) <= reach_ms && apart_ms(other, one) <= reach_ms
    }

    /// When nothing can amend it any more.
    pub fn frees_at_ms(&self, session: &Session) -> i64 {
        let longer_ms = if session.by_tracker { self.horizon_ms } else { 0 };
        let over_ms = self.closes_at_ms(session).saturating_add(self.horizon_ms).saturating_add(SLACK_MS);
        over_ms.saturating_add(longer_ms)
    }
}

/// Sessions in the order of their first events. One or two are the rule: no heap for them.
pub type List = SmallVec<[Arc<Session>; 2]>;

/// The sessions of one source that can still be amended.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct SourceSessions {
    /// Sorted by first event. Shared with the undo log: only a session that changes is copied.
    pub list: List,
    /// Where campaigns split sessions: each event as a session of its own, sorted by place, so that a late event with another
    /// campaign can split what was one.
    pub single: Option<Box<Vec<Arc<Session>>>>,
}

impl SourceSessions {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Bytes held, beyond this struct.
    pub fn bytes(&self) -> usize {
        let sessions = self.list.iter().chain(self.single.iter().flat_map(|single| single.iter()));
        let spilled = if self.list.spilled() { self.list.capacity() * 8 } else { 0 };
        spilled + sessions.map(|session| session.bytes()).sum::<usize>()
    }
}
