//! A source on its way from one person to another.

use millstream_schemas::input::Reason;
use millstream_schemas::{Event, HandOver, Id, OrderEntry, SourceMoved, purposes};

use super::codec;
use super::on_event::{Incoming, apply, find, finish, hold_back};
use super::people::{Env, People, arm};
use super::state::{Held, HeldKind, Hold, Source, SourceRules, UNARMED};
use crate::core::context::Rejection;
use crate::core::{Context, EventKind, Sink};
use crate::profiles;
use crate::sessions::{self, Changes, Rules};
use crate::site::SiteConfig;

impl People {
    /// The marker in the old person's partition: ends the source here and hands its state over. Where the source is itself waiting,
    /// the marker waits with its events.
    pub fn on_moved_away(
        &mut self,
        incoming: Incoming<'_, SourceMoved<'_>>,
        env: Env<'_>,
        cx: &Context<'_>,
        sink: &mut impl Sink,
    ) {
        let moved = incoming.record;
        let mut source = None;
        if let Some(person) = self.entries.get_mut(moved.from_person.0) {
            let known = person.sources.iter_mut().find(|known| known.id == moved.source);
            if let Some(hold) = known.and_then(|known| known.hold.as_mut()) {
                // A marker is never refused: without it the source would be lost. There are few.
                hold_back(hold, HeldKind::SourceMoved, incoming.body);
                self.held_bytes += incoming.body.len();
                return;
            }
            let site = env.sites.get(moved.site);
            let touches = (!person.orders().is_empty()).then(|| person.ledger());
            source = person.take_source(moved.source);
            if let Some(before) = touches {
                person.emit_touch_changes(moved.from_person, &before, site, cx, sink);
            }
            if source.as_ref().is_some_and(|source| !source.closed_visits().is_empty()) {
                profiles::emit(moved.from_person, person, site, true, cx, sink);
            }
            if person.is_empty() {
                self.entries.remove(moved.from_person.0);
            }
        }
        send(source.unwrap_or_else(|| Source::new(moved.source)), moved, cx, sink);
    }

    /// The marker in the new person's partition: from here on the source's events wait for its state.
    pub fn on_moved_here(
        &mut self,
        incoming: Incoming<'_, SourceMoved<'_>>,
        env: Env<'_>,
        cx: &Context<'_>,
        sink: &mut impl Sink,
    ) {
        let moved = incoming.record;
        let person = self.person(moved.to_person, moved.site);
        person.identify(moved.user_id);
        let makes_room = person.is_crowded_by(moved.source);
        let touches = (makes_room && !person.orders().is_empty()).then(|| person.ledger());
        let Some(source) = person.source_mut(moved.source) else {
            return sink.reject(&Rejection {
                reason: Reason::TooManySources,
                field: None,
                detail: "all sources of the person wait for their hand-over; the source's events here will not wait for its state",
                site: moved.site,
                event_id: Some(moved.source_event),
            });
        };
        match &mut source.hold {
            // It left and comes back before its first hand-over has come.
            Some(hold) => {
                hold_back(hold, HeldKind::SourceMoved, incoming.body);
                self.held_bytes += incoming.body.len();
                return;
            }
            None => source.hold = Some(Box::new(Hold::default())),
        }
        if makes_room {
            // What the source had that made room is the person's no longer.
            let site = env.sites.get(moved.site);
            if let Some(before) = touches {
                person.emit_touch_changes(moved.to_person, &before, site, cx, sink);
            }
            profiles::emit(moved.to_person, person, site, true, cx, sink);
        }
    }

    /// The source's state has come: joins it with what is here, plays the held records in, and revises the source's sessions.
    pub fn on_hand_over(&mut self, record: &HandOver<'_>, env: Env<'_>, cx: &Context<'_>, sink: &mut impl Sink) {
        let (person_id, source_id) = (record.to_person, record.source);
        let site = env.sites.get(record.site);
        let rules = Rules::of(site);
        let person = self.person(person_id, record.site);
        let is_news = person.identify(record.user_id);
        let touches = (!person.orders().is_empty()).then(|| person.ledger());
        let makes_room = person.is_crowded_by(source_id);
        let Some(source) = person.source_mut(source_id) else {
            return reject(record, Reason::TooManySources, "all sources of the person wait for their hand-over", sink);
        };
        let queue = source.hold.take().map(|hold| hold.queue).unwrap_or_default();
        // The count fits: it is a revision's high bits.
        source.hand_overs = source.hand_overs.max(u16::try_from(record.hand_overs).unwrap_or(u16::MAX));
        let (mut changes, mut has_changed) = (Changes::default(), makes_room);
        match codec::decode(source_id, record.state_version, record.state) {
            Ok(state) => {
                sessions::combine(&mut source.sessions, state.sessions, &rules, cx.watermark_ms, &mut changes);
                has_changed |= !state.visits.is_empty();
                source.visits.absorb(&state.visits);
                source.touches.combine(&state.touches);
                for purchase in state.purchases.iter().flat_map(|list| list.iter()) {
                    source.add_purchase(purchase.clone());
                }
            }
            // Its events need not wait for what cannot be read.
            Err(error) => reject(record, Reason::CorruptState, &error.to_string(), sink),
        }
        self.held_bytes = self.held_bytes.saturating_sub(queue.iter().map(|held| held.body.len()).sum());
        has_changed |= self.play(person_id, source_id, &queue, &rules, changes, env, cx, sink);
        if let Some(person) = self.entries.get_mut(person_id.0) {
            if let Some(before) = touches {
                person.emit_touch_changes(person_id, &before, site, cx, sink);
            }
            if has_changed || is_news {
                profiles::emit(person_id, person, site, has_changed, cx, sink);
            }
        }
        self.settle(person_id, source_id, site, cx);
    }

    /// Plays held records in. A marker among them sends the source on. Returns whether closed sessions have changed.
    #[expect(clippy::too_many_arguments, reason = "the second half of on_hand_over")]
    fn play(
        &mut self,
        person_id: Id,
        source_id: Id,
        queue: &[Held],
        rules: &Rules,
        mut changes: Changes,
        env: Env<'_>,
        cx: &Context<'_>,
        sink: &mut impl Sink,
    ) -> bool {
        let mut has_changed = false;
        for (at, held) in queue.iter().enumerate() {
            let Some(person) = self.entries.get_mut(person_id.0) else { return has_changed };
            match held.kind {
                HeldKind::Event => {
                    // It was decoded when it came.
                    let Ok(event) = Event::decode(&held.body) else { continue };
                    person.identify(event.person_user_id);
                    let Some(source) = person.source_mut(source_id) else { continue };
                    let kind = EventKind::of(event.event_type);
                    apply(source, source_id, &event, kind, rules, cx, &mut changes);
                }
                HeldKind::SourceMoved => {
                    let Ok(moved) = SourceMoved::decode(&held.body) else { continue };
                    if moved.from_person == person_id {
                        has_changed |= finish(person_id, person, source_id, rules, &changes, env, cx, sink);
                        changes = Changes::default();
                        if let Some(source) = person.take_source(source_id) {
                            send(source, &moved, cx, sink);
                        }
                    } else if let Some(source) = person.source_mut(source_id) {
                        // It has come back: what follows waits for the next hand-over.
                        let mut hold = Hold::default();
                        for held in queue.iter().skip(at + 1) {
                            hold_back(&mut hold, held.kind, &held.body);
                        }
                        self.held_bytes += hold.bytes;
                        source.hold = Some(Box::new(hold));
                        return has_changed;
                    }
                }
            }
        }
        if let Some(person) = self.entries.get_mut(person_id.0) {
            has_changed |= finish(person_id, person, source_id, rules, &changes, env, cx, sink);
        }
        has_changed
    }

    /// Sets the timer, or forgets a source and person of which nothing is left.
    fn settle(&mut self, person_id: Id, source_id: Id, site: &SiteConfig, cx: &Context<'_>) {
        let Some(person) = self.entries.get_mut(person_id.0) else { return };
        if find(person, source_id).is_some_and(Source::is_empty) {
            person.take_source(source_id);
        }
        if person.is_empty() {
            self.entries.remove(person_id.0);
            return;
        }
        let (rules, ordered_at_ms) = (SourceRules::of(site), person.ordered_at_ms());
        let due_ms = find(person, source_id).map_or(UNARMED, |source| source.due_ms(&rules, cx, &ordered_at_ms));
        arm(&mut self.timers, person_id.0, person, due_ms);
    }
}

fn reject(record: &HandOver<'_>, reason: Reason, detail: &str, sink: &mut impl Sink) {
    let event_id = Some(record.source_event);
    sink.reject(&Rejection { reason, field: Some("state"), detail, site: record.site, event_id });
}

/// Hands a source over and says whose its orders are now.
fn send(source: Source, moved: &SourceMoved<'_>, cx: &Context<'_>, sink: &mut impl Sink) {
    let hand_overs = source.hand_overs.saturating_add(1);
    let mut state = Vec::new();
    if !source.is_empty() {
        codec::encode(&source, &mut state);
    }
    sink.hand_over(&HandOver {
        site: moved.site,
        source: moved.source,
        from_person: moved.from_person,
        to_person: moved.to_person,
        user_id: moved.user_id,
        hand_overs: i32::from(hand_overs),
        event_time: moved.event_time,
        source_event: moved.source_event,
        state_version: codec::VERSION,
        state: &state,
    });
    for purchase in source.purchases.iter().flat_map(|list| list.iter()) {
        sink.order_entry(&OrderEntry {
            site: moved.site,
            kind: "owner",
            order_id: purchase.order_id.as_deref(),
            refund_id: purchase.refund_id.as_deref(),
            event_id: moved.source_event,
            event_time: cx.event_time_ms,
            consent: purposes::NECESSARY,
            source: Some(moved.source),
            person: Some(moved.to_person),
            person_user_id: moved.user_id,
            hand_overs: i32::from(hand_overs),
            ..OrderEntry::default()
        });
    }
}
