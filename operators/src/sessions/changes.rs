//! Which sessions a record has changed, collected until all of it is applied: one output per key per record.

use std::sync::Arc;

use millstream_schemas::Id;
use smallvec::SmallVec;

use super::Session;

/// What one input record did to the sessions of one source.
#[derive(Debug, Default)]
pub struct Changes {
    /// Sessions with a new revision, and whether their score has one too.
    pub touched: SmallVec<[(Id, bool); 4]>,
    /// Sessions whose key has ceased, as they were.
    pub ceased: SmallVec<[Arc<Session>; 2]>,
    /// Sessions that go on but have lost all that was scored to another one (a campaign split them), as they were.
    pub unscored: SmallVec<[Arc<Session>; 1]>,
    /// Tracker sessions in which nothing has been scored yet, and the purposes of the event that says so: should an earlier session
    /// have had the key, its score is not theirs.
    pub blank: SmallVec<[(Id, i32); 1]>,
    /// Sessions that are open and of which something may have been told as closed ones: those that were closed (true), and tracker
    /// sessions that have begun (false), because an earlier one may have had their key.
    pub reopened: SmallVec<[(Id, bool); 1]>,
}

impl Changes {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.touched.is_empty()
            && self.ceased.is_empty()
            && self.unscored.is_empty()
            && self.blank.is_empty()
            && self.reopened.is_empty()
    }

    /// Nothing has been scored in the session `id` yet, says an event with these purposes.
    pub fn blank(&mut self, id: Id, consent: i32) {
        if self.blank.iter().all(|(known, _)| *known != id) {
            self.blank.push((id, consent));
        }
    }

    /// `id` has a new revision; with `rescore` its score too.
    pub fn touch(&mut self, id: Id, rescore: bool) {
        match self.touched.iter_mut().find(|(known, _)| *known == id) {
            Some((_, score)) => *score |= rescore,
            None => self.touched.push((id, rescore)),
        }
    }

    /// `id` is open; it was closed, or it is new and its key may not be.
    pub fn reopen(&mut self, id: Id, was_closed: bool) {
        match self.reopened.iter_mut().find(|(known, _)| *known == id) {
            Some((_, closed)) => *closed |= was_closed,
            None => self.reopened.push((id, was_closed)),
        }
    }

    /// The key of `session` is no more.
    pub fn cease(&mut self, session: Arc<Session>) {
        if self.ceased.iter().all(|known| known.id != session.id) {
            self.ceased.push(session);
        }
    }
}
