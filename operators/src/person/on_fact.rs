//! What an order's partition tells of a person's orders.

use std::sync::Arc;

use millstream_schemas::OrderFact;
use millstream_schemas::input::Reason;

use super::people::{Env, People, arm};
use super::state::Person;
use super::trade::Whose;
use crate::core::context::Rejection;
use crate::core::{Context, Sink};
use crate::profiles::{self, Figures};

impl People {
    /// Takes a fact in: matches refunds, revises credits, scores and the profile. It may come before the person's first event, and
    /// makes the person then.
    pub fn on_order_fact(&mut self, fact: &OrderFact<'_>, env: Env<'_>, cx: &Context<'_>, sink: &mut impl Sink) {
        let site = env.sites.get(fact.site);
        let entry = self.person(fact.person, fact.site);
        let is_news = entry.identify(fact.person_user_id);
        let (was_there, touches) = (Figures::of(entry).is_some(), entry.ledger());
        let Person { site: name, user_id, trade: shared, .. } = &mut **entry;
        let whose = Whose { site: name, person: fact.person, user_id: user_id.as_deref() };
        let trade = Arc::make_mut(shared.get_or_insert_default());
        let tiers = trade.tiers();
        let changed = trade.on_fact(fact, &touches, whose, site, cx, sink);
        if changed.is_late {
            reject_late(fact, sink);
        }
        let has_changed = !changed.is_empty() || tiers != trade.tiers();
        // After the orders: what an order takes with it when it goes is no change of its touches.
        trade.named.tell(fact);
        let due_ms = trade.due_ms(site, cx);
        if trade.is_empty() {
            *shared = None;
        }
        entry.emit_touch_changes(fact.person, &touches, site, cx, sink);
        if has_changed || is_news {
            profiles::emit(fact.person, entry, site, was_there, cx, sink);
        }
        if entry.is_empty() {
            self.entries.remove(fact.person.0);
        } else if due_ms < entry.armed_ms
            && let Some(person) = self.entries.get_mut(fact.person.0)
        {
            arm(&mut self.timers, fact.person.0, person, due_ms);
        }
    }
}

#[cold]
fn reject_late(fact: &OrderFact<'_>, sink: &mut impl Sink) {
    sink.reject(&Rejection {
        reason: Reason::TooLate,
        field: Some("event_time"),
        detail: "the customer's orders of that time are sums already, after 430 days or because there are too many; scores and credits \
                 stay as they are, the tables of orders and refunds have it",
        site: fact.site,
        event_id: Some(fact.event_id),
    });
}
