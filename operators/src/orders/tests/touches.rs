//! Offline touches that name an order are told to whoever it belongs to.

use std::collections::{BTreeMap, BTreeSet};

use millstream_schemas::input::Reason;
use millstream_schemas::{Id, OrderFact};
use proptest::prelude::*;

use super::{Entry, owner, purchase, run};
use crate::core::limits::{ORDER_RETENTION_MS, TOUCHES_PER_ORDER};
use crate::testing::{Recorder, decode};

fn touch(order_id: &'static str, event_id: &str, time_ms: i64) -> Entry {
    Entry { kind: "touch", source: None, ..purchase(order_id, event_id, time_ms, 0, 0) }
}

/// Events of the touches that each person knows, by what it was told. A touch must not come twice, nor go before it came.
fn known(out: &Recorder) -> BTreeMap<Id, BTreeSet<String>> {
    let mut known: BTreeMap<Id, BTreeSet<String>> = BTreeMap::new();
    for (_, body) in &out.to_events {
        let fact: OrderFact<'_> = decode(body);
        let touches = known.entry(fact.person).or_default();
        match fact.kind {
            "touch" => assert!(touches.insert(fact.event_id.to_owned())),
            "touch_gone" => assert!(touches.remove(fact.event_id)),
            _ => {}
        }
    }
    known.retain(|_, touches| !touches.is_empty());
    known
}

proptest! {
    #[test]
    fn the_orders_person_knows_the_latest_ones(
        times in prop::collection::vec(0..30i64, 0..2 * TOUCHES_PER_ORDER),
        moves in prop::collection::vec(1..6i32, 0..4),
        keys in prop::collection::vec(any::<u32>(), 50),
    ) {
        let events: Vec<String> = (0..times.len()).map(|n| format!("t{:02}", n * 37 % 100)).collect();
        let touches = times.iter().zip(&events).map(|(&time_ms, event)| touch("o1", event, time_ms));
        let mut entries: Vec<Entry> = touches.chain([purchase("o1", "a", 50, 100, 1)]).collect();
        entries.extend(moves.iter().map(|&hand_overs| owner("o1", hand_overs, 100 + hand_overs as u128)));
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_by_key(|&at| keys[at]);
        let shuffled: Vec<Entry> = order.into_iter().map(|at| entries[at].clone()).collect();

        let person = moves.iter().max().map_or(70, |&hand_overs| 100 + hand_overs as u128);
        let mut latest: Vec<(i64, String)> = times.into_iter().zip(events).collect();
        latest.sort();
        let surplus = latest.len().saturating_sub(TOUCHES_PER_ORDER);
        let latest: BTreeSet<String> = latest.into_iter().skip(surplus).map(|(_, event)| event).collect();
        let expected: BTreeMap<_, _> = [(Id(person), latest)].into_iter().filter(|(_, latest)| !latest.is_empty()).collect();
        prop_assert_eq!(known(&run(&shuffled).0), expected);
    }
}

#[test]
fn nobody_is_told_before_the_order_is_somebodys() {
    let (out, mut orders) = run(&[touch("o1", "t", 5)]);
    assert!(out.to_events.is_empty() && out.rows.is_empty());
    let nobodys = Entry { source: None, ..purchase("o1", "a", 9, 100, 1) };
    assert!(run(&[touch("o1", "t", 5), nobodys]).0.to_events.is_empty());
    // It waits as long as an order could still be revised.
    orders.on_settled(5 + ORDER_RETENTION_MS);
    assert_eq!(orders.len(), 1);
    orders.on_settled(6 + ORDER_RETENTION_MS);
    assert!(orders.is_empty());
}

#[test]
fn the_fact_is_the_touch() {
    let (out, _) = run(&[purchase("o1", "a", 9, 100, 1), touch("o1", "t", 5), touch("o1", "t", 5)]);
    let facts: Vec<OrderFact<'_>> = out.to_events.iter().map(|(_, body)| decode(body)).collect();
    let [_, told] = facts.as_slice() else { panic!("{facts:?}") };
    let what = (told.kind, told.order_id, told.event_id, told.event_time, told.person, told.channel);
    assert_eq!(what, ("touch", Some("o1"), "t", 5, Id(70), Some("none")));
}

#[test]
fn a_touch_without_order_is_rejected() {
    let (out, orders) = run(&[Entry { order_id: None, refund_id: Some("r"), ..touch("", "t", 5) }]);
    assert_eq!(out.rejected, [Reason::MissingField]);
    assert!(out.to_events.is_empty() && orders.is_empty());
}
