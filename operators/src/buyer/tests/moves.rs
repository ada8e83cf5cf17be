//! Orders and refunds that change their person.

use millstream_schemas::{Id, OrderFact};
use proptest::prelude::*;

use super::world::{Entry, Persons, entries, facts, interleaved, outcomes, person_of};
use crate::buyer::Buyer;
use crate::testing::decode;

/// What is the same wherever it went.
fn settled(buyer: &Buyer) -> Buyer {
    let mut buyer = buyer.clone();
    buyer.orders.iter_mut().for_each(|order| order.hand_overs = 0);
    buyer.refunds.iter_mut().for_each(|refund| refund.hand_overs = 0);
    buyer
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn moved_to_and_fro_is_never_moved(
        entries in entries(),
        heard in prop::collection::vec(any::<u32>(), 40),
    ) {
        let still: Vec<Entry> = entries.iter().filter(|entry| entry.kind != "owner").cloned().collect();
        // Three hand-overs come round to the first person.
        let around = |entry: &Entry| [1, 2, 3].map(|hand_overs| entry.moved(hand_overs));
        let mut moved: Vec<Entry> = still.clone();
        for entry in &still {
            moved.extend(around(entry));
        }
        let stayed = Persons::told(&facts(&still));
        let came_back = Persons::told(&interleaved(&facts(&moved), &heard));
        prop_assert_eq!(outcomes(&came_back.out), outcomes(&stayed.out));
        for (person, buyer) in &came_back.buyers {
            let never = stayed.buyers.get(person).cloned().unwrap_or_default();
            prop_assert_eq!(settled(buyer), settled(&never));
        }
    }

    #[test]
    fn everything_is_with_one_person(entries in entries(), heard in prop::collection::vec(any::<u32>(), 40)) {
        let persons = Persons::told(&interleaved(&facts(&entries), &heard));
        let mut seen = std::collections::BTreeSet::new();
        for buyer in persons.buyers.values() {
            for id in buyer.orders.iter().map(|order| &order.order_id) {
                prop_assert!(seen.insert(("order", id.clone())), "{} twice", id);
            }
            for id in buyer.refunds.iter().map(|refund| &refund.refund_id) {
                prop_assert!(seen.insert(("refund", id.clone())), "{} twice", id);
            }
        }
        let ids = |kind: &str| {
            let told = entries.iter().filter(move |entry| entry.kind == kind);
            told.map(|entry| (entry.order_id.clone(), entry.refund_id.clone())).collect::<std::collections::BTreeSet<_>>()
        };
        let unnamed = ids("refund").into_iter().filter(|(order_id, _)| order_id.is_none()).count();
        prop_assert_eq!(seen.len(), ids("purchase").len() + unnamed);
    }
}

fn told(entries: &[Entry]) -> Vec<(String, Id, i32, Option<i64>, i64)> {
    let row = |body: &Vec<u8>| {
        let fact: OrderFact<'_> = decode(body);
        (fact.kind.to_owned(), fact.person, fact.hand_overs, fact.amount_minor, fact.refunded_minor)
    };
    facts(entries).iter().map(row).collect()
}

#[test]
fn the_old_person_is_told_first_under_the_old_count() {
    let order = Entry::purchase("o", 0, &[("cup", 1, 100)]);
    let refund = Entry::refund("r", 1, &[("cup", 1, 40)]).naming("o");
    let (first, second) = (person_of(0, 0), person_of(0, 1));
    let expected = [
        ("order".to_owned(), first, 0, Some(100), 0),
        ("order_gone".to_owned(), first, 0, None, 0),
        ("order".to_owned(), second, 1, Some(100), 0),
        ("order".to_owned(), second, 1, Some(100), 40),
    ];
    assert_eq!(told(&[order.clone(), order.moved(1), refund.clone()]), expected);
    // A refund that moves by itself moves nothing.
    let other = Entry { source: 1, ..refund };
    assert_eq!(told(&[order, other.clone(), other.moved(1)]).len(), 2);
}

#[test]
fn a_refund_that_names_an_unknown_order_is_told_with_the_order() {
    let refund = Entry::refund("r", 1, &[("cup", 1, 40)]).naming("o");
    assert_eq!(told(std::slice::from_ref(&refund)), []);
    let order = Entry::purchase("o", 0, &[("cup", 1, 100)]);
    assert_eq!(told(&[refund.clone(), order.clone()]), [("order".to_owned(), person_of(0, 0), 0, Some(100), 40)]);
    // In another currency there is nothing to subtract it from.
    let foreign = Entry { currency: "GBP", ..refund };
    assert_eq!(told(&[foreign, order]), [("order".to_owned(), person_of(0, 0), 0, Some(100), 0)]);
}

#[test]
fn another_device_that_tells_of_an_order_takes_it_over() {
    let order = Entry::purchase("o", 0, &[("cup", 1, 100)]);
    let reload = Entry { source: 1, event_id: "z".to_owned(), time_ms: 5, ..order.clone() };
    let kinds: Vec<_> =
        told(&[order, reload]).into_iter().map(|(kind, person, hand_overs, ..)| (kind, person, hand_overs)).collect();
    let (first, second) = (person_of(0, 0), person_of(1, 0));
    let expected =
        [("order", first, 0), ("order_gone", first, 0), ("order", second, 1)].map(|(k, p, h)| (k.to_owned(), p, h));
    assert_eq!(kinds, expected);
}
