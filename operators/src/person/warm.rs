//! Fetches what the next records will need, before they need it.
//!
//! With a million people the way of a record through the state is a chain of cache misses: slot, person, session, texts. One record
//! after the other, each miss is waited for. Here the same links of many chains are followed together, so that the processor waits
//! for all of them at once. Nothing is changed, and nothing is right or wrong by it.

use std::hint::black_box;
use std::sync::Arc;

use millstream_schemas::Id;

use super::people::People;
use super::state::Person;
use crate::sessions::origin::Text;
use crate::sessions::{Origin, Session};

/// People looked at together.
const TOGETHER: usize = 16;

impl People {
    /// Reads what an event of each of these people will need.
    pub fn warm(&self, people: impl Iterator<Item = Id>) {
        let mut people = people.peekable();
        while people.peek().is_some() {
            // Each sweep ends where the next link of the chain begins.
            let mut entries = [None; TOGETHER];
            for (entry, id) in entries.iter_mut().zip(people.by_ref()) {
                *entry = self.entries.get(id.0).map(|entry| &**entry);
            }
            let mut sessions = [None; TOGETHER];
            for (session, person) in sessions.iter_mut().zip(entries.iter().flatten()) {
                *session = person_warmed(person);
            }
            for session in sessions.iter().flatten() {
                session_warmed(session);
            }
            for session in sessions.iter().flatten() {
                counters_warmed(session);
            }
            for session in sessions.iter().flatten() {
                texts_warmed(&session.first);
            }
        }
    }
}

/// The person itself; its latest session.
fn person_warmed(person: &Person) -> Option<&Arc<Session>> {
    black_box(person.armed_ms);
    let source = person.sources.first()?;
    black_box(source.id.0 as u8);
    black_box(source.hand_overs);
    source.sessions.list.last()
}

/// A session, which is several cache lines long.
fn session_warmed(session: &Arc<Session>) {
    black_box(Arc::strong_count(session));
    black_box(session.id.0 as u8);
    black_box(session.last.time_ms);
    black_box(session.exit_order.time_ms);
    black_box(session.exit_page.is_some());
    black_box(session.orders.len());
    black_box(session.page_view_ids.len());
    black_box(session.activity.first_ms);
    black_box(session.activity.is_bot);
    black_box(session.closed);
}

/// What a copy of a session, or the end of one, counts up or down.
pub(super) fn counters_warmed(session: &Session) {
    for origin in [Some(&session.first), session.entry.as_ref(), session.channel.as_ref(), session.tracker.as_ref()] {
        black_box(origin.map_or(0, Arc::strong_count));
    }
    black_box(session.exit_page.as_ref().map_or(0, Arc::strong_count));
}

/// The texts of a session's first event, end to end in one allocation.
fn texts_warmed(origin: &Origin) {
    for text in [Text::DeviceId, Text::Page, Text::Referrer, Text::Browser] {
        black_box(origin.text(text).and_then(|text| text.as_bytes().last()).copied());
    }
}
