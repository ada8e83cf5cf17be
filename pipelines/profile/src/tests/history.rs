//! Years of history that wait in the log: whatever partitions send to each other comes behind all of it.

use std::collections::BTreeSet;

use millstream_schemas::{Event, Id, Line, OrderEntry, SourceMoved};

use super::world::{SITE, World};

const DAY_MS: i64 = 86_400_000;
/// Three years, and an order a month.
const DAYS: i64 = 1_095;
const EVERY_DAYS: i64 = 30;
const BUYERS: u128 = 9;
/// Every third buyer is anonymous until then: a change of person, with all orders before it young enough to follow.
const SIGNS_IN_ON_DAY: i64 = 390;

fn person(buyer: u128, day: i64) -> Id {
    Id(if buyer.is_multiple_of(3) && day >= SIGNS_IN_ON_DAY { 1_000 + buyer } else { buyer })
}

fn buy(world: &mut World, buyer: u128, day: i64) {
    let (order_id, visit_id) = (format!("o{buyer}-{day}"), format!("v{buyer}-{day}"));
    let event_time = day * DAY_MS + buyer as i64;
    let person = Some(person(buyer, day));
    let event = Event {
        site: SITE,
        consent: 15,
        source: Some(Id(buyer)),
        person,
        channel: "email",
        device_class: "mobile",
        ..Event::default()
    };
    world.event(&Event { event_id: &visit_id, event_type: "page_view", event_time, ..event.clone() });
    world.event(&Event {
        event_id: &order_id,
        event_type: "purchase",
        event_time: event_time + 60_000,
        order_id: Some(&order_id),
        currency: Some("EUR"),
        amount_minor: Some(1_000),
        ..event
    });
    world.order_entry(&OrderEntry {
        site: SITE,
        kind: "purchase",
        order_id: Some(&order_id),
        event_id: &order_id,
        event_time: event_time + 60_000,
        consent: 15,
        source: Some(Id(buyer)),
        person,
        currency: Some("EUR"),
        amount_minor: Some(1_000),
        lines: vec![Line { line_no: 1, product_id: "p", quantity: 1, amount_minor: 1_000, ..Line::default() }],
        ..OrderEntry::default()
    });
}

/// The world after three years; `each_day` is done after each of them.
fn history(partitions: u32, mut each_day: impl FnMut(&mut World)) -> World {
    let mut world = World::new(partitions);
    world.watermark(-1);
    for day in 0..DAYS {
        for buyer in 1..=BUYERS {
            let (old, new) = (person(buyer, day - 1), person(buyer, day));
            if old != new {
                world.moved(&SourceMoved {
                    site: SITE,
                    source: Id(buyer),
                    from_person: old,
                    to_person: new,
                    user_id: Some("user"),
                    event_time: day * DAY_MS,
                    source_event: "login",
                });
            }
            if day % EVERY_DAYS == buyer as i64 % EVERY_DAYS {
                buy(&mut world, buyer, day);
            }
        }
        world.watermark((day + 1) * DAY_MS - 1);
        each_day(&mut world);
    }
    world.drain();
    world
}

#[test]
fn years_of_history_in_the_log_give_what_they_gave_live() {
    for partitions in [1, 3] {
        let live = history(partitions, World::drain);
        let waited = history(partitions, |_| {});
        assert_eq!((live.rejected(), waited.rejected()), (vec![], vec![]), "{partitions} partitions");
        let (live, waited) = (live.view(), waited.view());
        let keys: BTreeSet<_> = live.keys().chain(waited.keys()).collect();
        let differing = keys.into_iter().filter(|key| live.get(*key) != waited.get(*key));
        let told: Vec<_> =
            differing.map(|key| format!("{key:?}\n {:?}\n {:?}", live.get(key), waited.get(key))).collect();
        assert!(told.is_empty(), "{partitions} partitions, {} outputs:\n{}", told.len(), told.join("\n"));
    }
}
