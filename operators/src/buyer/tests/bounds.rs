//! What is kept stays bounded, and what goes is still counted.

use proptest::prelude::*;

use super::world::{DAY_MS, Entry, Persons, add_up, entries, facts, person_of};
use crate::buyer::{Buyer, fold};
use crate::core::limits::{BUYER_RETENTION_MS, LINES_PER_PERSON, ORDERS_PER_PERSON, RETURNS_PER_PERSON};

/// Net revenue of everything, kept or past.
fn net_minor(buyer: &Buyer) -> i64 {
    let orders: i64 = buyer.orders.iter().filter_map(|order| order.net_reporting_minor()).sum();
    let unmatched: i64 = buyer.refunds.iter().filter_map(|refund| refund.unmatched_reporting_minor()).sum();
    orders - unmatched + buyer.past.revenue_minor
}

fn one(persons: &Persons) -> &Buyer {
    assert_eq!(persons.buyers.len(), 1);
    &persons.buyers[&person_of(0, 0)]
}

#[test]
fn many_orders_make_room_and_still_count() {
    let count = ORDERS_PER_PERSON as i64 + 88;
    let orders: Vec<Entry> =
        (0..count).map(|n| Entry::purchase(&format!("o{n}"), n * 60_000, &[("cup", 1, 10)])).collect();
    let mut persons = Persons::told(&facts(&orders));
    let buyer = one(&persons);
    assert_eq!((buyer.orders.len(), buyer.past.orders), (ORDERS_PER_PERSON, 88));
    assert_eq!(net_minor(buyer), count * 10);
    assert_eq!(&*buyer.orders[0].order_id, "o88");
    // What is told of those that went changes nothing; one that was never told of and is older than all kept counts at once.
    let mut late = facts(&[Entry::purchase("o3", 3 * 60_000, &[("cup", 1, 99)])]);
    late.extend(facts(&[Entry::purchase("late", 87 * 60_000 + 1, &[("cup", 1, 7)])]));
    let changed: Vec<_> = late.iter().map(|fact| persons.tell(fact)).collect();
    assert!(changed[0].is_empty() && changed[0].is_late && !changed[1].is_late);
    assert!(changed[1].past && changed[1].orders.is_empty());
    assert_eq!((one(&persons).past.orders, net_minor(one(&persons))), (89, count * 10 + 7));
}

#[test]
fn many_refunds_make_room_and_still_count() {
    let count = RETURNS_PER_PERSON as i64 + 50;
    let mut entries = vec![Entry::purchase("o", 0, &[("cup", 20, 2_000)])];
    entries.extend((0..count).map(|n| Entry::refund(&format!("u{n}"), n * 60_000, &[("cup", 1, 100)])));
    let persons = Persons::told(&facts(&entries));
    let buyer = one(&persons);
    assert_eq!(buyer.refunds.len(), RETURNS_PER_PERSON);
    // The order went with the refunds that it was matched to.
    assert_eq!((buyer.orders.len(), buyer.past.orders), (0, 1));
    assert_eq!(net_minor(buyer), 2_000 - count * 100);
    assert_eq!(buyer.past.unmatched_refunds_minor, (50 - 20) * 100);
}

#[test]
fn many_lines_make_room() {
    let names: Vec<&'static str> = (0..1_000).map(|n| &*Box::leak(format!("p{n}").into_boxed_str())).collect();
    let lines: Vec<_> = names.iter().map(|name| (*name, 1, 1)).collect();
    let orders: Vec<Entry> = (0..20).map(|n| Entry::purchase(&format!("o{n}"), n * 60_000, &lines)).collect();
    let persons = Persons::told(&facts(&orders));
    let buyer = one(&persons);
    assert_eq!(buyer.orders.len(), LINES_PER_PERSON / 1_000);
    assert_eq!(net_minor(buyer), 20_000);
    assert!(buyer.bytes() < 600_000, "{} bytes", buyer.bytes());
}

#[test]
fn a_refund_keeps_its_match_when_the_order_goes() {
    let entries = [
        Entry::purchase("old", 0, &[("cup", 2, 200)]),
        Entry::purchase("new", 10 * DAY_MS, &[("cup", 1, 100)]),
        Entry::refund("u", 20 * DAY_MS, &[("cup", 4, 401)]),
    ];
    let mut persons = Persons::told(&facts(&entries));
    let rows = persons.out.rows.len();
    let due_ms = one(&persons).due_ms().unwrap();
    assert_eq!(due_ms, BUYER_RETENTION_MS);
    let before = net_minor(one(&persons));
    let buyer = persons.buyers.get_mut(&person_of(0, 0)).unwrap();
    fold(buyer, due_ms, add_up);
    assert_eq!(buyer.orders.len(), 2, "at the watermark itself facts may still come");
    fold(buyer, due_ms + 1, add_up);
    assert_eq!((buyer.orders.len(), buyer.refunds.len()), (1, 1));
    // Another order of the same product comes: the refund takes its last piece from there, and keeps the two it had.
    persons.tell(&facts(&[Entry::purchase("newest", 15 * DAY_MS, &[("cup", 1, 100)])])[0]);
    let line = &one(&persons).refund("u").unwrap().lines[0];
    let matched: Vec<_> = line.matches.iter().map(|matched| (&*matched.order_id, matched.quantity)).collect();
    assert_eq!(matched, [("newest", 1), ("new", 1), ("old", 2)]);
    assert_eq!(net_minor(one(&persons)), before + 100);
    assert_eq!(persons.out.rows.len(), rows + 1);
    // In the end everything is past, and counts the same.
    let buyer = persons.buyers.get_mut(&person_of(0, 0)).unwrap();
    let before = net_minor(buyer);
    fold(buyer, i64::MAX, add_up);
    assert!(buyer.orders.is_empty() && buyer.refunds.is_empty() && buyer.due_ms().is_none());
    assert_eq!((net_minor(buyer), buyer.past.revenue_minor), (before, before));
}

#[test]
fn a_refund_told_again_after_its_order_went_is_deducted_once() {
    let told = [
        Entry::purchase("old", 0, &[("cup", 2, 200), ("hat", 1, 70)]),
        Entry::refund("u", 20 * DAY_MS, &[("cup", 2, 190), ("hat", 1, 60)]),
    ];
    let mut persons = Persons::told(&facts(&told));
    fold(persons.buyers.get_mut(&person_of(0, 0)).unwrap(), BUYER_RETENTION_MS + 1, add_up);
    assert_eq!((one(&persons).orders.len(), net_minor(one(&persons))), (0, 20));
    let rows = persons.out.rows.len();
    let again = |lines: &[(&'static str, i64, i64)]| {
        let refund = Entry::refund("u", 20 * DAY_MS, lines);
        facts(&[refund])[0].clone()
    };
    assert!(persons.tell(&again(&[("cup", 2, 190), ("hat", 1, 60)])).is_empty());
    assert_eq!((persons.out.rows.len(), net_minor(one(&persons))), (rows, 20), "the same again is nothing new");
    // Told otherwise: what the sums have stays deducted there, and the difference is the refund's own.
    for (lines, net) in [
        (&[("cup", 3, 290), ("hat", 1, 60)][..], 270 - 350),
        (&[("hat", 1, 60)], 270 - 60),
        (&[("pen", 1, 5)], 270 - 5),
        (&[("hat", 1, 60), ("cup", 2, 190)], 20),
        (&[("cup", 2, 190), ("hat", 1, 60)], 20),
    ] {
        persons.tell(&again(lines));
        assert_eq!(net_minor(one(&persons)), net, "{lines:?}");
        let refund = one(&persons).refund("u").unwrap();
        assert!(refund.lines.is_sorted_by(|a, b| a.line_no < b.line_no), "each line once: {lines:?}");
        assert_eq!(refund.matched_minor(), 250, "{lines:?}");
    }
    persons.out.assert_one_output_per_key_and_revision();
}

proptest! {
    /// Whatever is told again of refunds after orders went: every figure stays.
    #[test]
    fn refunds_told_again_change_no_figure(entries in entries(), watermark_day in 0..8i64) {
        let facts = facts(&entries);
        let mut persons = Persons::told(&facts);
        for buyer in persons.buyers.values_mut() {
            fold(buyer, BUYER_RETENTION_MS + watermark_day * DAY_MS, add_up);
        }
        let kept = persons.buyers.clone();
        for body in &facts {
            let fact: millstream_schemas::OrderFact<'_> = crate::testing::decode(body);
            let known = kept[&fact.person].refund(fact.refund_id.unwrap_or_default());
            // The last telling of each that is kept.
            let is_last = known.is_some_and(|known| {
                let place = crate::core::EventOrder::new(fact.event_time, fact.sequence, fact.event_id);
                known.place == place && i32::from(known.hand_overs) == fact.hand_overs
            });
            if fact.kind == "refund" && is_last {
                prop_assert!(persons.tell(body).is_empty());
            }
        }
        prop_assert_eq!(&persons.buyers, &kept);
    }

    #[test]
    fn folding_changes_no_figure(entries in entries(), watermark_day in 0..8i64) {
        let mut persons = Persons::told(&facts(&entries));
        for buyer in persons.buyers.values_mut() {
            let before = net_minor(buyer);
            fold(buyer, BUYER_RETENTION_MS + watermark_day * DAY_MS, add_up);
            prop_assert_eq!(net_minor(buyer), before);
            prop_assert!(buyer.orders.iter().all(|order| order.place.time_ms >= watermark_day * DAY_MS));
        }
    }
}
