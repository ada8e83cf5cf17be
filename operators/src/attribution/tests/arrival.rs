//! In whatever order events and facts come: late touches, bridged sessions, refunds and changes of owner revise by themselves.

use millstream_schemas::{Id, OrderFact};
use proptest::prelude::*;

use super::*;
use crate::attribution::{emit_order_changes, emit_touch_changes, may_revise};
use crate::core::EventKind;
use crate::sessions::{self, Changes, Seen, SourceSessions};
use crate::testing::{MINUTE_MS, SOURCE, Told, context, events};

const ORDERS: [(&str, i64); 2] = [("a", 100 * MINUTE_MS), ("b", 250 * MINUTE_MS)];

fn session_rules() -> sessions::Rules {
    sessions::Rules { gap_ms: 30 * MINUTE_MS, horizon_ms: DAY_MS, by_tracker: false, by_campaign: false }
}

/// One step of a person's history.
#[derive(Debug, Clone)]
enum Step {
    Event(Box<Told>),
    Order { order: usize, refunded_minor: i64 },
}

/// A person with one source, as the integrator drives it.
#[derive(Default)]
struct Person {
    sessions: SourceSessions,
    touches: Touches,
    buyer: Buyer,
    out: Recorder,
    offset: u64,
}

impl Person {
    fn ledger(&self) -> Ledger {
        Ledger::of([(&self.sessions, &self.touches)], &Touches::default())
    }

    fn take(&mut self, step: &Step, by_tracker: bool) {
        self.offset += 1;
        match step {
            Step::Event(told) => self.event(told, by_tracker),
            Step::Order { order, refunded_minor } => {
                let (order_id, at_ms) = ORDERS[*order];
                self.fact(&fact(order_id, at_ms, 1_000, *refunded_minor));
            }
        }
    }

    fn event(&mut self, told: &Told, by_tracker: bool) {
        let event = told.event();
        let kind = EventKind::of(event.event_type);
        let may_revise = may_revise(&self.buyer.orders, &self.sessions, event.event_time);
        let before = self.ledger();
        if let Some(touch) = Touch::of_event(&event, kind) {
            self.touches.add(&touch);
        }
        if sessions::reaches(&event, kind) {
            let order = EventOrder::new(event.event_time, event.sequence, event.event_id);
            let seen = Seen { event: &event, order, kind, source: SOURCE };
            let rules = sessions::Rules { by_tracker, ..session_rules() };
            sessions::on_event(&mut self.sessions, &seen, &rules, 0, &mut Changes::default());
        }
        let cx = context(self.offset, 0, event.event_time, event.event_id);
        let (after, said) = (self.ledger(), self.out.rows.len());
        emit_touch_changes(&before, &after, &self.buyer.orders, &OWNER, &rules(), &cx, &mut self.out);
        assert!(may_revise || self.out.rows.len() == said, "an event that cannot revise has not revised");
    }

    fn fact(&mut self, fact: &OrderFact<'_>) {
        let changed = tell(&mut self.buyer, fact);
        let cx = context(self.offset, 0, fact.event_time, fact.event_id);
        let ledger = self.ledger();
        emit_order_changes(&changed, &self.buyer, &ledger, &OWNER, &rules(), &cx, &mut self.out);
    }

    /// All sessions are freed.
    fn fold(&mut self) {
        let freed = std::mem::take(&mut self.sessions.list);
        self.touches.fold(&freed);
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let refunds = (0..3i64, 0..3i64);
    (events(40), refunds).prop_map(|(events, (first, second))| {
        let mut steps: Vec<Step> = Vec::new();
        for (at, mut event) in events.into_iter().enumerate() {
            if at % 7 == 3 {
                event.kind = "offline_touch";
                event.channel = "call_centre";
                event.order_id = None;
            }
            steps.push(Step::Event(Box::new(event)));
        }
        // The last fact of an order holds, so that each is told once here.
        steps.push(Step::Order { order: 0, refunded_minor: first * 250 });
        steps.push(Step::Order { order: 1, refunded_minor: second * 77 });
        steps
    })
}

proptest! {
    #[test]
    fn the_rows_are_the_credits_of_what_is_known_whatever_came_when(
        (told, shuffled) in steps().prop_flat_map(|steps| (Just(steps.clone()), Just(steps).prop_shuffle())),
        by_tracker: bool,
    ) {
        let (mut one, mut other) = (Person::default(), Person::default());
        for step in &told {
            one.take(step, by_tracker);
        }
        for step in &shuffled {
            other.take(step, by_tracker);
        }
        let rows = view(&one.out);
        prop_assert_eq!(&rows, &expected(&one.ledger(), &one.buyer, &rules()));
        prop_assert_eq!(&rows, &view(&other.out));
        // That sessions are freed changes nothing, and says nothing.
        let before = other.ledger();
        other.fold();
        let (after, mut out) = (other.ledger(), Recorder::default());
        emit_touch_changes(&before, &after, &other.buyer.orders, &OWNER, &rules(), &context(99, 0, 0, ""), &mut out);
        prop_assert_eq!(out.rows.len(), 0);
        prop_assert_eq!(rows, expected(&after, &other.buyer, &rules()));
    }
}

#[test]
fn a_late_touch_revises_and_a_bridged_one_is_retracted() {
    let visit = |id: &str, minute: i64, channel: &'static str| {
        let time_ms = minute * MINUTE_MS;
        let told = Told { id: id.to_owned(), kind: "page_view", time_ms, consent: 3, channel, ..Told::default() };
        Step::Event(Box::new(told))
    };
    let mut person = Person::default();
    person.take(&visit("c", 90, "direct"), false);
    person.take(&Step::Order { order: 0, refunded_minor: 0 }, false);
    let channels = |person: &Person, model: &str| -> Vec<(String, i64)> {
        let rows = view(&person.out).into_iter().filter(|(key, _)| key.split('/').nth(1) == Some(model));
        let mut rows: Vec<_> = rows.map(|(_, row)| (row.0, (row.2, row.3))).collect();
        rows.sort();
        rows.into_iter().map(|(_, row)| row).collect()
    };
    assert_eq!(channels(&person, "linear"), [("direct".to_owned(), 1_000)]);
    person.take(&visit("a", 40, "email"), false);
    assert_eq!(channels(&person, "linear"), [("email".to_owned(), 500), ("direct".to_owned(), 500)]);
    assert_eq!(channels(&person, "last_non_direct"), [("email".to_owned(), 1_000)]);
    // Joins both visits to one that began with the mail.
    person.take(&visit("b", 65, "direct"), false);
    assert_eq!(channels(&person, "linear"), [("email".to_owned(), 1_000)]);
    assert_eq!(channels(&person, "last"), [("email".to_owned(), 1_000)]);
    assert!(person.out.rows.iter().any(|row| row.retracted));
}

#[test]
fn a_touch_after_all_orders_says_nothing() {
    let mut person = Person::default();
    person.take(&Step::Order { order: 0, refunded_minor: 0 }, false);
    let said = person.out.rows.len();
    assert_eq!(said, 6, "one row a model");
    let told = Told {
        id: "later".to_owned(),
        kind: "page_view",
        time_ms: ORDERS[0].1 + 1,
        consent: 3,
        channel: "email",
        ..Told::default()
    };
    person.take(&Step::Event(Box::new(told)), false);
    assert_eq!(person.out.rows.len(), said);
}

#[test]
fn an_order_that_changes_its_person_takes_its_credits_along_whoever_is_first() {
    let touches = |source: u128| [touch(source, 1, "email"), touch(9, 2, "direct")];
    let (old_ledger, new_ledger) = (ledger(touches(1)), ledger(touches(2)));
    let (old_owner, new_owner) = (OWNER, Owner { person: Id(0xb), user_id: Some("u"), ..OWNER });
    let expected = |buyer: &Buyer| expected(&new_ledger, buyer, &rules());
    for old_first in [true, false] {
        let (mut out, mut old_buyer, mut new_buyer) = (Recorder::default(), Buyer::default(), Buyer::default());
        let told = fact("o", 10, 900, 0);
        let changed = tell(&mut old_buyer, &told);
        let cx = context(50, 0, 10, "o");
        emit_order_changes(&changed, &old_buyer, &old_ledger, &old_owner, &rules(), &cx, &mut out);
        let gone = OrderFact { kind: "order_gone", ..told.clone() };
        let comes = OrderFact { hand_overs: 1, person: new_owner.person, ..told };
        for is_old in [old_first, !old_first] {
            if is_old {
                let changed = tell(&mut old_buyer, &gone);
                let cx = context(80, 0, 10, "login");
                emit_order_changes(&changed, &old_buyer, &old_ledger, &old_owner, &rules(), &cx, &mut out);
            } else {
                let changed = tell(&mut new_buyer, &comes);
                // Another task: its offsets are its own.
                let cx = context(3, 0, 10, "login");
                emit_order_changes(&changed, &new_buyer, &new_ledger, &new_owner, &rules(), &cx, &mut out);
            }
        }
        assert_eq!(view(&out), expected(&new_buyer));
        assert!(out.current("attribution").values().all(|body| {
            let row: Attribution<'_> = decode(body);
            row.person == new_owner.person && row.user_id == Some("u")
        }));
    }
}

#[test]
fn refunds_by_name_and_by_product_lower_the_credits() {
    let ledger = ledger([touch(1, 1, "email"), touch(2, 2, "direct"), touch(3, 3, "email")]);
    let (mut out, mut buyer) = (Recorder::default(), Buyer::default());
    let mut offset = 0;
    let mut take = |buyer: &mut Buyer, fact: &OrderFact<'_>| {
        offset += 1;
        let changed = tell(buyer, fact);
        emit_order_changes(&changed, buyer, &ledger, &OWNER, &rules(), &context(offset, 0, 10, "e"), &mut out);
        let sums = |rows: &View| {
            let linear = rows.iter().filter(|(key, _)| key.contains("/linear/"));
            linear.fold((0, 0, 0), |sum, (_, row)| (sum.0 + row.3, sum.1 + row.4, sum.2 + row.5))
        };
        sums(&view(&out))
    };
    assert_eq!(take(&mut buyer, &fact("o", 10, 1_000, 0)), (1_000, 0, 1_000));
    assert_eq!(take(&mut buyer, &fact("o", 10, 1_000, 100)), (1_000, 100, 900));
    let returned = Line { line_no: 1, product_id: "p", quantity: 1, amount_minor: 333, ..Line::default() };
    let refund = OrderFact {
        kind: "refund",
        order_id: None,
        refund_id: Some("r"),
        lines: vec![returned],
        ..fact("r", 20, 333, 0)
    };
    assert_eq!(take(&mut buyer, &refund), (1_000, 433, 567));
    let gone = OrderFact { kind: "refund_gone", ..refund };
    assert_eq!(take(&mut buyer, &gone), (1_000, 100, 900));
}
