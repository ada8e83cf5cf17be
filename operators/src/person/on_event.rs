//! An event of a person.

use std::sync::Arc;

use millstream_schemas::input::Reason;
use millstream_schemas::{Event, Id, purposes};

use super::people::{Env, People, arm, owner};
use super::state::{Held, HeldKind, Hold, Person, Purchase, Source, UNARMED, end_of_day};
use crate::attribution::{self, Touch};
use crate::core::context::Rejection;
use crate::core::limits::{HELD_BYTES_PER_SOURCE, HELD_BYTES_PER_TASK, SESSIONS_PER_SOURCE};
use crate::core::{Context, EventKind, EventOrder, Sink};
use crate::profiles;
use crate::sessions::{self, Changes, List, Rules, Seen, Session, SourceSessions};

/// A record of a person with the bytes it came in, should it have to wait.
#[derive(Debug)]
pub struct Incoming<'a, T> {
    /// The record.
    pub record: &'a T,
    /// Its Avro body.
    pub body: &'a [u8],
}

// By hand, because a derived one would ask the record to be `Copy` too.
impl<T> Clone for Incoming<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Incoming<'_, T> {}

impl People {
    /// Takes an event in. One without identity, or that no operator may see for want of consent, changes nothing.
    pub fn on_event(
        &mut self,
        incoming: Incoming<'_, Event<'_>>,
        env: Env<'_>,
        cx: &Context<'_>,
        sink: &mut impl Sink,
    ) {
        let event = incoming.record;
        let (Some(source_id), Some(person_id)) = (event.source, event.person) else { return };
        let kind = EventKind::of(event.event_type);
        let wants_session = sessions::reaches(event, kind);
        if !wants_session && purchase(event, kind).is_none() && Touch::of_event(event, kind).is_none() {
            return;
        }
        let site = env.sites.get(event.site);
        let rules = Rules::of(site);
        let held_bytes = self.held_bytes;
        let person = self.person(person_id, event.site);
        let is_news = person.identify(event.person_user_id);
        let makes_room = person.is_crowded_by(source_id);
        // Touches change with the source's sessions; only customers' touches matter.
        let may_evict = || find(person, source_id).is_some_and(|source| source.touches.is_full());
        let touches =
            person.trade.is_some() && (makes_room || may_revise(person, source_id, event.event_time) || may_evict());
        let touches = touches.then(|| person.ledger());
        let Some(source) = person.source_mut(source_id) else {
            return reject(
                event,
                Reason::TooManySources,
                "all sources of the person wait for their hand-over; import it later",
                sink,
            );
        };
        if let Some(hold) = &mut source.hold {
            let bytes = incoming.body.len();
            if hold.bytes + bytes > HELD_BYTES_PER_SOURCE || held_bytes + bytes > HELD_BYTES_PER_TASK {
                return reject(
                    event,
                    Reason::HeldOverflow,
                    "too much waits for the source's hand-over; import it later",
                    sink,
                );
            }
            hold_back(hold, HeldKind::Event, incoming.body);
            self.held_bytes += bytes;
            return;
        }
        let mut changes = Changes::default();
        let due_ms = apply(source, source_id, event, kind, &rules, cx, &mut changes);
        let has_changed = finish(person_id, person, source_id, &rules, &changes, env, cx, sink) || makes_room;
        if let Some(before) = touches {
            person.emit_touch_changes(person_id, &before, site, cx, sink);
        }
        if has_changed || is_news {
            profiles::emit(person_id, person, site, has_changed, cx, sink);
        }
        if due_ms < person.armed_ms
            && let Some(person) = self.entries.get_mut(person_id.0)
        {
            arm(&mut self.timers, person_id.0, person, due_ms);
        }
    }
}

fn reject(event: &Event<'_>, reason: Reason, detail: &str, sink: &mut impl Sink) {
    sink.reject(&Rejection { reason, field: None, detail, site: event.site, event_id: Some(event.event_id) });
}

/// Whether an event of a source at this time can change a credit of the person's orders.
fn may_revise(person: &Person, source: Id, event_time_ms: i64) -> bool {
    let none = SourceSessions::default();
    let sessions = find(person, source).map_or(&none, |source| &source.sessions);
    attribution::may_revise(person.orders(), sessions, event_time_ms)
}

pub(super) fn find(person: &Person, source: Id) -> Option<&Source> {
    person.sources.iter().find(|known| known.id == source)
}

/// Keeps a record until the hand-over comes.
pub(super) fn hold_back(hold: &mut Hold, kind: HeldKind, body: &[u8]) {
    hold.queue.push(Held { kind, body: Arc::from(body) });
    hold.bytes += body.len();
}

/// The order or refund that an event tells of and that follows its source; none without the purpose *necessary*.
fn purchase(event: &Event<'_>, kind: EventKind) -> Option<Purchase> {
    let may = kind.is_order() && event.consent & purposes::NECESSARY != 0;
    let order_id = event.order_id.filter(|_| may);
    let refund_id = event.refund_id.filter(|_| may && order_id.is_none());
    (order_id.is_some() || refund_id.is_some()).then(|| Purchase {
        order_id: order_id.map(Box::from),
        refund_id: refund_id.map(Box::from),
        event_time_ms: event.event_time,
    })
}

/// Lets an event into the operators of its source. Returns when something of what it changed is due.
pub(super) fn apply(
    source: &mut Source,
    source_id: Id,
    event: &Event<'_>,
    kind: EventKind,
    rules: &Rules,
    cx: &Context<'_>,
    changes: &mut Changes,
) -> i64 {
    let mut due_ms = UNARMED;
    if sessions::reaches(event, kind) {
        let order = EventOrder::new(event.event_time, event.sequence, event.event_id);
        let seen = Seen { event, order, kind, source: source_id };
        due_ms = sessions::on_event(&mut source.sessions, &seen, rules, cx.watermark_ms, changes).unwrap_or(UNARMED);
    }
    if let Some(touch) = Touch::of_event(event, kind) {
        source.touches.add(&touch);
        due_ms = due_ms.min(end_of_day(event.event_time.max(cx.watermark_ms)));
    }
    if let Some(purchase) = purchase(event, kind) {
        source.add_purchase(purchase);
        due_ms = due_ms.min(source.purchases_due_ms().map_or(UNARMED, |due_ms| cx.when_settled(due_ms)));
    }
    due_ms
}

/// Emits what has changed, then keeps the number of sessions bounded. Returns whether closed sessions have changed.
#[expect(clippy::too_many_arguments, reason = "one step of a straight line, called from two places")]
pub(super) fn finish(
    person_id: Id,
    person: &mut Person,
    source_id: Id,
    rules: &Rules,
    changes: &Changes,
    env: Env<'_>,
    cx: &Context<'_>,
    sink: &mut impl Sink,
) -> bool {
    let Some(source) = person.sources.iter_mut().find(|known| known.id == source_id) else { return false };
    let surplus = source.sessions.list.len().saturating_sub(SESSIONS_PER_SOURCE);
    let mut closing = List::new();
    for session in source.sessions.list.iter_mut().take(surplus).filter(|session| !session.closed) {
        Arc::make_mut(session).closed = true;
        closing.push(session.clone());
    }
    let Some(source) = find(person, source_id) else { return false };
    let history = source.visits.history();
    let owner = owner(person_id, person, source, &history);
    let is_changed = sessions::emit_changes(&source.sessions, changes, &owner, rules, env.scorer, cx, sink);
    if surplus == 0 {
        return is_changed;
    }
    let is_told = |session: &Session| changes.touched.iter().any(|(id, _)| *id == session.id);
    for session in closing.iter().filter(|session| !is_told(session)) {
        let under_its_key = source.sessions.list.iter().rev().find(|other| other.id == session.id);
        if under_its_key.is_some_and(|latest| Arc::ptr_eq(latest, session)) {
            sessions::emit_closed(session, &owner, rules, cx, sink);
        }
    }
    if let Some(source) = person.sources.iter_mut().find(|known| known.id == source_id) {
        let freed = sessions::free(&mut source.sessions, surplus);
        source.fold(&freed);
    }
    true
}
