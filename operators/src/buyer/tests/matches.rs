//! Against an oracle that takes back one piece after the other.

use std::collections::{BTreeMap, BTreeSet};

use millstream_schemas::Id;
use proptest::prelude::*;

use super::world::{DAY_MS, Entry, Outcome, Outcomes, Persons, entries, facts, interleaved, outcomes, person_of};
use crate::core::EventOrder;
use crate::core::limits::ORDER_RETENTION_MS;

fn place(entry: &Entry) -> EventOrder {
    EventOrder::new(entry.time_ms, None, &entry.event_id)
}

/// Whose it is: by the highest hand-over of its source that its order was told of.
fn owner(entries: &[Entry], told: &Entry) -> Id {
    let same = |other: &&Entry| match &told.order_id {
        Some(order_id) => other.order_id.as_ref() == Some(order_id),
        None => other.order_id.is_none() && other.refund_id == told.refund_id,
    };
    let moves = entries.iter().filter(|entry| entry.kind == "owner" && entry.source == told.source).filter(same);
    person_of(told.source, moves.map(|entry| entry.hand_overs).max().unwrap_or(0))
}

fn latest<'a>(entries: &'a [Entry], kind: &str) -> BTreeMap<(Option<&'a str>, Option<&'a str>), &'a Entry> {
    let mut latest: BTreeMap<_, &Entry> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.kind == kind) {
        let known = latest.entry((entry.order_id.as_deref(), entry.refund_id.as_deref())).or_insert(entry);
        if place(entry) > place(known) {
            *known = entry;
        }
    }
    latest
}

/// Every piece by itself, newest order first.
pub fn oracle(entries: &[Entry]) -> Outcomes {
    let refunds = latest(entries, "refund");
    let mut orders: Vec<&Entry> = latest(entries, "purchase").into_values().collect();
    orders.sort_by_key(|order| place(order));
    let mut pieces: Vec<Vec<&str>> = orders
        .iter()
        .map(|order| {
            let mut pieces: Vec<&str> = Vec::new();
            for (product, quantity, _) in &order.lines {
                pieces.extend(std::iter::repeat_n(*product, *quantity as usize));
            }
            for refund in refunds.values().filter(|refund| refund.order_id == order.order_id) {
                for (product, quantity, _) in &refund.lines {
                    for _ in 0..*quantity {
                        pieces.iter().position(|piece| piece == product).map(|at| pieces.remove(at));
                    }
                }
            }
            pieces
        })
        .collect();
    let mut unnamed: Vec<&Entry> = refunds.into_values().filter(|refund| refund.order_id.is_none()).collect();
    unnamed.sort_by_key(|refund| place(refund));
    let mut outcomes = Outcomes::new();
    for refund in unnamed {
        let person = owner(entries, refund);
        for ((product, quantity, amount_minor), line_no) in refund.lines.iter().zip(1..) {
            let (mut matched, mut order_ids) = (0, Vec::new());
            for _ in 0..*quantity {
                let found = (0..orders.len()).rev().find(|&at| {
                    owner(entries, orders[at]) == person
                        && orders[at].time_ms <= refund.time_ms
                        && orders[at].time_ms >= refund.time_ms - ORDER_RETENTION_MS
                        && orders[at].currency == refund.currency
                        && pieces[at].contains(product)
                });
                let Some(at) = found else { break };
                let piece = pieces[at].iter().position(|piece| piece == product).unwrap();
                pieces[at].remove(piece);
                matched += 1;
                let order_id = orders[at].order_id.clone().unwrap();
                if order_ids.last() != Some(&order_id) {
                    order_ids.push(order_id);
                }
            }
            let matched_minor = amount_minor * matched / quantity;
            let outcome = Outcome {
                person,
                matched: (matched, matched_minor),
                unmatched: (quantity - matched, amount_minor - matched_minor),
                order_ids,
            };
            outcomes.insert(format!("{}/{line_no}", refund.refund_id.as_ref().unwrap()), outcome);
        }
    }
    outcomes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn matches_are_the_oracles_however_facts_interleave(
        entries in entries(),
        told in prop::collection::vec(any::<u32>(), 40),
        heard in prop::collection::vec(any::<u32>(), 40),
    ) {
        // Entries of one order come in any order too.
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_by_key(|&at| told[at]);
        let shuffled: Vec<Entry> = order.into_iter().map(|at| entries[at].clone()).collect();
        let persons = Persons::told(&interleaved(&facts(&shuffled), &heard));
        prop_assert_eq!(outcomes(&persons.out), oracle(&entries));
    }

    #[test]
    fn what_orders_lose_is_what_refunds_match(entries in entries()) {
        let persons = Persons::told(&facts(&entries));
        for buyer in persons.buyers.values() {
            prop_assert!(buyer.orders.is_sorted_by_key(|order| order.place));
            let lost: i64 = buyer.orders.iter().map(|order| order.matched_refunds_minor).sum();
            let matched: i64 = buyer.refunds.iter().map(|refund| refund.matched_minor()).sum();
            prop_assert_eq!(lost, matched);
            let pieces = buyer.orders.iter().flat_map(|order| &order.lines);
            let taken: i64 = pieces.clone().map(|line| line.returned).sum();
            let given = buyer.refunds.iter().flat_map(|refund| &refund.lines).map(|line| line.matched_quantity);
            prop_assert_eq!(taken, given.sum::<i64>());
            prop_assert!(pieces.clone().all(|line| (0..=line.quantity).contains(&line.returned)));
        }
    }

    #[test]
    fn facts_heard_again_change_nothing(entries in entries()) {
        // The last of each, for an older one would be news.
        let facts = facts(&entries);
        let mut persons = Persons::told(&facts);
        let before = persons.buyers.clone();
        let rows = persons.out.rows.len();
        let mut seen = BTreeSet::new();
        for body in facts.iter().rev() {
            let fact: millstream_schemas::OrderFact<'_> = crate::testing::decode(body);
            let about = fact.order_id.or(fact.refund_id).unwrap_or_default().to_owned();
            if seen.insert((fact.person, about)) {
                prop_assert!(persons.tell(body).is_empty());
            }
        }
        prop_assert_eq!(&persons.buyers, &before);
        prop_assert_eq!(persons.out.rows.len(), rows);
    }

    #[test]
    fn changed_says_all_that_changed(entries in entries()) {
        let mut persons = Persons::default();
        for body in facts(&entries) {
            let before = persons.buyers.clone();
            let changed = persons.tell(&body);
            for (person, buyer) in &persons.buyers {
                let Some(old) = before.get(person) else { continue };
                let touched = |id: &str| changed.orders.iter().any(|(known, _)| &**known == id);
                for order in buyer.orders.iter().filter(|order| !touched(&order.order_id)) {
                    prop_assert_eq!(old.order(&order.order_id), Some(order));
                }
                for order in old.orders.iter().filter(|order| !touched(&order.order_id)) {
                    prop_assert_eq!(buyer.order(&order.order_id), Some(order));
                }
            }
            for (id, was) in &changed.orders {
                let person = before.values().find_map(|old| old.order(id));
                prop_assert!(was.is_none() || was.as_ref() == person);
            }
        }
    }
}

fn run(entries: &[Entry]) -> (Persons, Outcomes) {
    let persons = Persons::told(&facts(entries));
    let outcomes = outcomes(&persons.out);
    assert_eq!(outcomes, oracle(entries));
    (persons, outcomes)
}

#[test]
fn the_newest_order_comes_first_and_pieces_are_taken_once() {
    let (persons, outcomes) = run(&[
        Entry::purchase("old", 0, &[("cup", 2, 1_000)]),
        Entry::purchase("new", DAY_MS, &[("cup", 2, 1_000)]),
        Entry::refund("u1", 2 * DAY_MS, &[("cup", 3, 1_000)]),
        Entry::refund("u2", 3 * DAY_MS, &[("cup", 3, 1_000)]),
    ]);
    assert_eq!(outcomes["u1/1"].order_ids, ["new", "old"]);
    assert_eq!(outcomes["u1/1"].matched, (3, 1_000));
    assert_eq!((outcomes["u2/1"].matched, outcomes["u2/1"].unmatched), ((1, 333), (2, 667)));
    let buyer = &persons.buyers[&person_of(0, 0)];
    let refunded = |id| buyer.order(id).unwrap().matched_refunds_minor;
    // 1,000 × 2 / 3 rounded down, and what is left of 1,000; and a third of the second refund.
    assert_eq!((refunded("new"), refunded("old")), (666, 334 + 333));
    assert_eq!(buyer.order("old").unwrap().net_reporting_minor(), Some(1_000 - 667));
    assert_eq!(buyer.refund("u2").unwrap().unmatched_reporting_minor(), Some(667));
}

#[test]
fn an_order_of_the_same_moment_counts_a_later_one_does_not() {
    let refund = Entry::refund("a", 5, &[("cup", 1, 10)]);
    let (_, outcomes) = run(&[refund.clone(), Entry::purchase("z", 5, &[("cup", 1, 10)])]);
    assert_eq!(outcomes["a/1"].matched, (1, 10));
    let (_, outcomes) = run(&[refund, Entry::purchase("z", 6, &[("cup", 1, 10)])]);
    assert_eq!(outcomes["a/1"].unmatched, (1, 10));
}

#[test]
fn an_order_too_old_to_be_revised_is_not_matched() {
    for (age_ms, matched) in [(ORDER_RETENTION_MS, 1), (ORDER_RETENTION_MS + 1, 0)] {
        let (_, outcomes) =
            run(&[Entry::purchase("o", 0, &[("cup", 1, 10)]), Entry::refund("u", age_ms, &[("cup", 1, 10)])]);
        assert_eq!(outcomes["u/1"].matched.0, matched);
    }
}

#[test]
fn pieces_that_a_refund_took_back_by_name_are_not_taken_again() {
    let (persons, outcomes) = run(&[
        Entry::purchase("o", 0, &[("cup", 2, 100), ("cup", 1, 50)]),
        Entry::refund("r", 1, &[("cup", 2, 100)]).naming("o"),
        Entry::refund("u", 2, &[("cup", 2, 90)]),
    ]);
    assert_eq!((outcomes["u/1"].matched, outcomes["u/1"].unmatched), ((1, 45), (1, 45)));
    let order = persons.buyers[&person_of(0, 0)].order("o").unwrap().clone();
    assert_eq!((order.named_refunds_minor, order.matched_refunds_minor, order.refunded_minor()), (100, 45, 145));
}

#[test]
fn fewer_lines_retract_the_rest_and_a_late_order_revises() {
    let (persons, outcomes) = run(&[
        Entry::refund("u", 9, &[("cup", 1, 10), ("hat", 1, 20)]),
        Entry { event_id: "later".to_owned(), ..Entry::refund("u", 10, &[("cup", 1, 10)]) },
        Entry::purchase("o", 3, &[("cup", 1, 10)]),
    ]);
    assert_eq!(outcomes.keys().collect::<Vec<_>>(), ["u/1"]);
    assert_eq!(outcomes["u/1"].matched, (1, 10));
    let retracted: Vec<&str> =
        persons.out.rows.iter().filter(|row| row.retracted).map(|row| row.key.as_str()).collect();
    assert_eq!(retracted, ["u/2"]);
}

#[test]
fn a_refund_that_says_only_an_amount_is_unmatched() {
    let refund = Entry { amount_minor: 70, ..Entry::refund("u", 1, &[]) };
    let (persons, outcomes) = run(&[Entry::purchase("o", 0, &[("cup", 1, 100)]), refund]);
    assert!(outcomes.is_empty());
    let buyer = &persons.buyers[&person_of(0, 0)];
    assert_eq!(buyer.refund("u").unwrap().unmatched_minor(), 70);
    // Shipping given back with the goods: what the lines do not say is unmatched.
    let refund = Entry { amount_minor: 70, ..Entry::refund("u", 1, &[("cup", 1, 50)]) };
    let (persons, _) = run(&[Entry::purchase("o", 0, &[("cup", 1, 100)]), refund]);
    let refund = persons.buyers[&person_of(0, 0)].refund("u").unwrap().clone();
    assert_eq!((refund.matched_minor(), refund.unmatched_minor()), (50, 20));
}
