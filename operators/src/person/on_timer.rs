//! Time has passed: sessions close, old state goes.

use millstream_schemas::Id;

use super::people::{Env, People, arm, owner};
use super::state::UNARMED;
use crate::core::{Context, Sink};
use crate::profiles;
use crate::sessions::{self, List, Rules};

impl People {
    /// Fires what was due before `cx.watermark_ms`, at most `most` timers. Records are computed as of their due times. Returns
    /// whether more may be due.
    pub fn on_watermark(&mut self, most: usize, env: Env<'_>, cx: &Context<'_>, sink: &mut impl Sink) -> bool {
        for _ in 0..most {
            let Some((due_ms, id)) = self.timers.pop_before(cx.watermark_ms) else { return false };
            // One that was superseded, or whose person has gone, fires for nothing.
            if self.entries.get(id).is_some_and(|person| person.armed_ms == due_ms) {
                let cx = Context { event_time_ms: due_ms, source_event: "", ..*cx };
                self.fire(id, env, &cx, sink);
            }
        }
        true
    }

    fn fire(&mut self, id: u128, env: Env<'_>, cx: &Context<'_>, sink: &mut impl Sink) {
        let Some(person) = self.entries.get_mut(id) else { return };
        person.armed_ms = std::mem::replace(&mut person.armed_later_ms, UNARMED);
        let rules = Rules::of(env.sites.get(&person.site));
        let (mut due_ms, mut has_closed) = (UNARMED, false);
        for at in 0..person.sources.len() {
            let Some(mut sessions) = person.sources.get_mut(at).map(|source| std::mem::take(&mut source.sessions))
            else {
                continue;
            };
            let mut freed = List::new();
            if let Some(source) = person.sources.get(at) {
                let history = source.visits.history();
                let owner = owner(Id(id), person, source, &history);
                freed = sessions::on_timer(&mut sessions, &rules, cx.watermark_ms, |session, is_latest| {
                    has_closed = true;
                    if is_latest {
                        let cx = Context { event_time_ms: rules.closes_at_ms(session), ..*cx };
                        sessions::emit_closed(session, &owner, &rules, &cx, sink);
                    }
                });
            }
            if let Some(source) = person.sources.get_mut(at) {
                source.sessions = sessions;
                source.fold(&freed);
                source.free(cx.watermark_ms);
                due_ms = due_ms.min(source.due_ms(&rules));
            }
        }
        person.sources.retain(|source| !source.is_empty());
        person.sources.shrink_to_fit();
        if has_closed {
            profiles::emit(Id(id), person, env.sites.get(&person.site), true, cx, sink);
        }
        if person.is_empty() {
            self.entries.remove(id);
            return;
        }
        arm(&mut self.timers, id, person, due_ms);
    }
}
