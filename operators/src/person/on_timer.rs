//! Time has passed: sessions close, old state goes.

use std::sync::Arc;

use millstream_schemas::Id;

use super::people::{Env, People, arm, owner};
use super::state::{SourceRules, UNARMED};
use super::trade::Whose;
use crate::core::watermark::UNKNOWN_MS;
use crate::core::{Context, Sink};
use crate::profiles;
use crate::sessions::{self, List};

impl People {
    /// Fires what was due before `cx.watermark_ms`, at most `most` timers. Records are computed as of their due times. Returns
    /// whether more may be due.
    ///
    /// A timer that was superseded, or whose person has gone, fires for nothing and does not count: whether it is still there depends
    /// on whether the state was restored from a snapshot, which knows only of those that count.
    pub fn on_watermark(&mut self, most: usize, env: Env<'_>, cx: &Context<'_>, sink: &mut impl Sink) -> bool {
        let mut left = most;
        while left > 0 {
            let Some((due_ms, id)) = self.timers.pop_before(cx.watermark_ms) else { return false };
            if self.entries.get(id).is_some_and(|person| person.armed_ms == due_ms) {
                let cx = Context { event_time_ms: due_ms, source_event: "", ..*cx };
                self.fire(id, env, &cx, sink);
                left -= 1;
            }
        }
        true
    }

    fn fire(&mut self, id: u128, env: Env<'_>, cx: &Context<'_>, sink: &mut impl Sink) {
        let Some(person) = self.entries.get_mut(id) else { return };
        person.armed_ms = std::mem::replace(&mut person.armed_later_ms, person.armed_last_ms);
        person.armed_last_ms = UNARMED;
        let site = env.sites.get(&person.site);
        let rules = SourceRules::of(site);
        let (mut due_ms, mut has_changed) = (UNARMED, false);
        if let Some(shared) = &mut person.trade
            && shared.due_ms(site, &Context { watermark_ms: UNKNOWN_MS, settled_ms: UNKNOWN_MS, ..*cx })
                < cx.watermark_ms
        {
            let whose = Whose { site: &person.site, person: Id(id), user_id: person.user_id.as_deref() };
            let trade = Arc::make_mut(shared);
            let tiers = trade.tiers();
            trade.on_timer(whose, site, cx, sink);
            has_changed = tiers != trade.tiers();
        }
        // First, because touches are kept for them.
        person.sources.iter_mut().for_each(|source| source.free_purchases(cx.settled_ms));
        let ordered_at_ms = person.ordered_at_ms();
        // Only where touches may have to make room can freeing a session change a credit.
        let before = (!ordered_at_ms.is_empty() && person.sources.iter().any(|source| source.touches.is_full()))
            .then(|| person.ledger());
        for at in 0..person.sources.len() {
            let Some(mut sessions) = person.sources.get_mut(at).map(|source| std::mem::take(&mut source.sessions))
            else {
                continue;
            };
            let mut freed = List::new();
            if let Some(source) = person.sources.get(at) {
                let history = source.visits.history();
                let owner = owner(Id(id), person, source, &history);
                freed = sessions::on_timer(&mut sessions, &rules.sessions, cx.watermark_ms, |session, is_latest| {
                    has_changed = true;
                    if is_latest {
                        let cx = Context { event_time_ms: rules.sessions.closes_at_ms(session), ..*cx };
                        sessions::emit_closed(session, &owner, &rules.sessions, &cx, sink);
                    }
                });
            }
            if let Some(source) = person.sources.get_mut(at) {
                source.sessions = sessions;
                source.fold(&freed);
                source.free(&rules, cx.watermark_ms, &ordered_at_ms);
                due_ms = due_ms.min(source.due_ms(&rules, cx, &ordered_at_ms));
            }
        }
        person.sources.retain(|source| !source.is_empty());
        person.sources.shrink_to_fit();
        if let Some(before) = before {
            person.emit_touch_changes(Id(id), &before, site, cx, sink);
        }
        if has_changed {
            profiles::emit(Id(id), person, site, true, cx, sink);
        }
        if let Some(trade) = &person.trade {
            due_ms = due_ms.min(trade.due_ms(site, cx));
            if trade.is_empty() {
                person.trade = None;
            }
        }
        if person.is_empty() {
            self.entries.remove(id);
            return;
        }
        // Never before the watermark again: what was due is done.
        arm(&mut self.timers, id, person, due_ms.max(cx.watermark_ms));
    }
}
