//! Bounds, timers, and what a person keeps.

use std::sync::Arc;

use millstream_schemas::input::Reason;
use millstream_schemas::{Event, Id};
use millstream_scoring::Heuristic;
use proptest::prelude::*;

use super::*;
use crate::core::limits::{
    HELD_BYTES_PER_SOURCE, ORDER_RETENTION_MS, PURCHASES_PER_SOURCE, SOURCES_PER_PERSON, VISITS_RETENTION_MS,
};
use crate::site::Sites;
use crate::testing::{MINUTE_MS, PERSON, Recorder, SOURCE, Told, context, events};

struct House {
    people: People,
    sites: Sites,
    out: Recorder,
    offset: u64,
}

impl House {
    fn new() -> Self {
        Self { people: People::new(), sites: Sites::new(), out: Recorder::default(), offset: 0 }
    }

    fn event(&mut self, event: &Event<'_>) {
        let mut body = Vec::new();
        event.encode(&mut body);
        self.offset += 1;
        let env = Env { sites: &self.sites, scorer: &Heuristic };
        let cx = context(self.offset, i64::MIN, event.event_time, event.event_id);
        self.people.on_event(Incoming { record: event, body: &body }, env, &cx, &mut self.out);
    }

    fn watermark(&mut self, watermark_ms: i64) {
        self.offset += 1;
        let env = Env { sites: &self.sites, scorer: &Heuristic };
        while self.people.on_watermark(7, env, &context(self.offset, watermark_ms, watermark_ms, ""), &mut self.out) {
            self.offset += 1;
        }
    }

    fn moved_here(&mut self) {
        let moved = millstream_schemas::SourceMoved {
            site: "shop",
            source: SOURCE,
            from_person: Id(1),
            to_person: PERSON,
            ..Default::default()
        };
        let env = Env { sites: &self.sites, scorer: &Heuristic };
        let cx = context(self.offset, i64::MIN, 0, "");
        self.people.on_moved_here(Incoming { record: &moved, body: b"marker" }, env, &cx, &mut self.out);
    }
}

fn view(id: &str, minute: i64) -> Told {
    Told {
        id: id.to_owned(),
        kind: "page_view",
        time_ms: minute * MINUTE_MS,
        consent: 15,
        page: Some("https://shop/".to_owned()),
        channel: "direct",
        ..Told::default()
    }
}

#[test]
fn without_its_purpose_an_event_reaches_no_operator() {
    for (consent, sessions, scores) in [(0, 0, 0), (1, 0, 0), (4, 0, 0), (2, 1, 0), (6, 1, 1), (15, 1, 1)] {
        let mut house = House::new();
        house.event(&Told { consent, ..view("a", 0) }.event());
        let count = |topic: &str| house.out.rows.iter().filter(|row| row.topic == topic).count();
        assert_eq!((count("sessions"), count("propensity")), (sessions, scores), "consent {consent}");
        assert_eq!(house.people.len(), sessions, "consent {consent}: nothing is kept of it either");
        house.watermark(60 * MINUTE_MS);
        let count = |topic: &str| house.out.rows.iter().filter(|row| row.topic == topic).count();
        assert_eq!((count("engagement"), count("profiles")), (sessions, sessions), "consent {consent}");
    }
    // A purchase without the purpose *necessary* does not follow its source.
    let mut house = House::new();
    let purchase =
        Told { kind: "purchase", order_id: Some("o".to_owned()), consent: 2, currency: "EUR", ..view("a", 0) };
    house.event(&purchase.event());
    assert!(house.people.get(PERSON).unwrap().sources[0].purchases.is_none());
}

#[test]
fn a_long_lived_persons_state_stays_bounded_and_goes_in_the_end() {
    let mut house = House::new();
    let mut most = 0;
    for day in 0..400i64 {
        for n in 0..20 {
            house.event(&view(&format!("{day}-{n}"), day * 1_440 + n * 40).event());
        }
        house.watermark((day * 1_440 + 800) * MINUTE_MS);
        most = most.max(house.people.memory_use([PERSON]).total());
    }
    assert!(most < 80_000, "{most} bytes");
    assert_eq!(house.out.current("sessions").len(), 8_000);
    house.watermark(500 * 1_440 * MINUTE_MS);
    let at_rest = house.people.memory_use([PERSON]);
    assert!(at_rest.total() - at_rest.timers < 360, "{at_rest:?}");
    assert_eq!(house.people.get(PERSON).unwrap().sources[0].visits.sessions, 8_000);
    house.watermark(802 * 1_440 * MINUTE_MS);
    assert!(house.people.is_empty());
    let open = house
        .out
        .current("sessions")
        .values()
        .filter(|body| {
            let row: millstream_schemas::Session<'_> = crate::testing::decode(body);
            row.state == "open"
        })
        .count();
    assert_eq!(open, 0);
}

#[test]
fn so_many_timers_fire_at_once_and_the_rest_in_the_same_order() {
    let (mut house, mut all) = (House::new(), House::new());
    for n in 0..20 {
        let told = view(&format!("{n:02}"), n);
        let event = Event { source: Some(Id(n as u128)), person: Some(Id(n as u128)), ..told.event() };
        house.event(&event);
        all.event(&event);
    }
    let count = |house: &House| house.out.rows.iter().filter(|row| row.topic == "sessions").count();
    let before = count(&house);
    let cx = context(99, 600 * MINUTE_MS, 600 * MINUTE_MS, "");
    let mut closed = Vec::new();
    for more in [true, true, false] {
        let env = Env { sites: &house.sites, scorer: &Heuristic };
        assert_eq!(house.people.on_watermark(8, env, &cx, &mut house.out), more);
        closed.push(count(&house) - before);
    }
    assert_eq!(closed, [8, 16, 20]);
    assert!(!all.people.on_watermark(100, Env { sites: &all.sites, scorer: &Heuristic }, &cx, &mut all.out));
    assert_eq!(house.out.rows, all.out.rows);
}

#[test]
fn timers_that_fire_for_nothing_do_not_count() {
    let mut house = House::new();
    for n in 0..20u128 {
        let told = view(&format!("{n:02}"), n as i64);
        house.event(&Event { source: Some(Id(n)), person: Some(Id(n)), ..told.event() });
    }
    // The first ten are gone when their timers fire.
    for n in 0..10 {
        let moved = millstream_schemas::SourceMoved {
            site: "shop",
            source: Id(n),
            from_person: Id(n),
            to_person: PERSON,
            ..Default::default()
        };
        let env = Env { sites: &house.sites, scorer: &Heuristic };
        let cx = context(90, i64::MIN, 0, "");
        house.people.on_moved_away(Incoming { record: &moved, body: b"marker" }, env, &cx, &mut house.out);
    }
    assert_eq!(house.people.len(), 10);
    let before = house.out.rows.len();
    let cx = context(99, 600 * MINUTE_MS, 600 * MINUTE_MS, "");
    let env = Env { sites: &house.sites, scorer: &Heuristic };
    assert!(house.people.on_watermark(8, env, &cx, &mut house.out));
    let closed = house.out.rows[before..].iter().filter(|row| row.topic == "sessions").count();
    assert_eq!(closed, 8, "as many as if nobody had gone");
    assert!(!house.people.on_watermark(8, env, &cx, &mut house.out));
}

#[test]
fn a_buyer_is_remembered_as_long_as_the_order() {
    let mut house = House::new();
    let purchase = Told { kind: "purchase", order_id: Some("o".to_owned()), currency: "EUR", ..view("a", 0) };
    house.event(&purchase.event());
    house.watermark(ORDER_RETENTION_MS);
    assert_eq!(house.people.len(), 1);
    let used = house.people.memory_use([PERSON]);
    // One timer alone fills the first slots of its bucket.
    assert!(used.sessions == 0 && used.total() - used.timers < 450, "{used:?}");
    // The fact of the order may still lie behind in the log: the touch that it will be credited to is kept for it.
    assert!(used.purchases > 0 && used.touches > 0);
    house.watermark(ORDER_RETENTION_MS + 1);
    let used = house.people.memory_use([PERSON]);
    assert_eq!((used.purchases, used.touches), (0, 0));
    house.watermark(VISITS_RETENTION_MS + 2 * 1_440 * MINUTE_MS);
    assert!(house.people.is_empty());
}

#[test]
fn sources_of_a_person_are_bounded() {
    let mut house = House::new();
    for n in 0..SOURCES_PER_PERSON as i64 + 10 {
        let told = view(&format!("{n}"), n);
        house.event(&Event { source: Some(Id(n as u128)), ..told.event() });
    }
    let person = house.people.get(PERSON).unwrap();
    assert_eq!(person.sources.len(), SOURCES_PER_PERSON);
    assert!(person.sources.iter().all(|source| source.id.0 >= 10), "the longest idle ones made room");
    assert_eq!(house.out.current("sessions").len(), SOURCES_PER_PERSON + 10);
}

#[test]
fn a_marker_that_makes_room_revises_what_the_longest_idle_source_had() {
    let mut house = House::new();
    for n in 1..=SOURCES_PER_PERSON as i64 {
        let told = view(&format!("{n}"), n * 60);
        house.event(&Event { source: Some(Id(n as u128)), ..told.event() });
    }
    // Closed: the profile counts them, and an order's credit is the first visit's.
    house.watermark(SOURCES_PER_PERSON as i64 * 60 * MINUTE_MS + 40 * MINUTE_MS);
    let fact = millstream_schemas::OrderFact {
        kind: "order",
        site: "shop",
        person: PERSON,
        order_id: Some("o"),
        event_id: "o",
        event_time: 61 * MINUTE_MS,
        consent: 15,
        currency: Some("EUR"),
        amount_minor: Some(900),
        reporting_amount_minor: Some(900),
        ..Default::default()
    };
    let env = Env { sites: &house.sites, scorer: &Heuristic };
    house.people.on_order_fact(&fact, env, &context(house.offset + 1, i64::MIN, 0, "o"), &mut house.out);
    house.offset += 1;
    let sessions = |house: &House| {
        let profiles = house.out.current("profiles");
        let row: millstream_schemas::Profile<'_> = crate::testing::decode(profiles.values().next().unwrap());
        row.sessions
    };
    let credited = |house: &House| -> Vec<bool> {
        let rows = house.out.current("attribution");
        rows.values()
            .map(|body| crate::testing::decode::<millstream_schemas::Attribution<'_>>(body).channel != "none")
            .collect()
    };
    assert_eq!(sessions(&house), SOURCES_PER_PERSON as i64);
    assert!(!credited(&house).is_empty() && credited(&house).iter().all(|credited| *credited));
    house.offset += 1;
    house.moved_here();
    let person = house.people.get(PERSON).unwrap();
    assert!(person.sources.iter().all(|source| source.id != Id(1)), "it was idle longest");
    assert_eq!(sessions(&house), SOURCES_PER_PERSON as i64 - 1);
    assert!(!credited(&house).is_empty() && credited(&house).iter().all(|credited| !*credited));
    house.out.assert_one_output_per_key_and_revision();
}

#[test]
fn purchases_of_a_source_are_bounded_and_unique() {
    let mut source = Source::new(SOURCE);
    for n in (0..200i64).chain(100..150) {
        let purchase = Purchase { order_id: Some(format!("o{n}").into()), refund_id: None, event_time_ms: n };
        source.add_purchase(purchase);
    }
    let purchases: &Arc<Vec<Purchase>> = source.purchases.as_ref().unwrap();
    assert_eq!(purchases.len(), PURCHASES_PER_SOURCE);
    assert!(purchases.is_sorted_by_key(|purchase| purchase.event_time_ms));
}

#[test]
fn too_much_waiting_goes_to_the_dead_letters() {
    let mut house = House::new();
    house.moved_here();
    let told = Told { page: Some("x".repeat(10_000)), ..view("a", 0) };
    for _ in 0..HELD_BYTES_PER_SOURCE / 10_000 + 5 {
        house.event(&told.event());
    }
    assert!(house.out.rows.is_empty(), "held events are not seen");
    assert!(house.out.rejected.len() >= 5 && house.out.rejected.iter().all(|reason| *reason == Reason::HeldOverflow));
    assert!(house.people.memory_use([PERSON]).held <= HELD_BYTES_PER_SOURCE + 4_096);
}

/// The people again, each as a snapshot keeps them, in whatever order.
fn restored(people: &People, persons: &[Id]) -> People {
    let mut again = People::new();
    again.track();
    for id in persons.iter().rev() {
        let Some(person) = people.get(*id) else { continue };
        let mut value = Vec::new();
        person.encode(&mut value);
        again.restore(*id, &value).unwrap();
        // Of several the first holds.
        again.restore(*id, b"anything").unwrap();
        let mut written = Vec::new();
        again.get(*id).unwrap().encode(&mut written);
        assert_eq!(written, value);
    }
    again.restored();
    again
}

proptest! {
    /// Also where so few timers may fire at once that some are always owed: each fires in its turn, superseded ones or not.
    #[test]
    fn restored_people_are_owed_the_same_timers(
        told in events(60), persons in prop::collection::vec(0..6u128, 60), at in 0..60usize, step_minutes in 1..400i64,
    ) {
        let all: Vec<Id> = (0..6).map(|n| Id(PERSON.0 + n)).collect();
        let mut house = House::new();
        for (n, (told, person)) in told.iter().zip(&persons).enumerate() {
            let event = Event { source: Some(Id(SOURCE.0 + person)), person: Some(all[*person as usize]), ..told.event() };
            house.event(&event);
            house.people.commit();
            if n % 5 == 4 {
                house.watermark(n as i64 * 3 * MINUTE_MS);
            }
        }
        let mut watermark_ms = 200 * MINUTE_MS;
        let mut again: Option<House> = None;
        for n in 0..80 {
            if n == at {
                house.people.commit();
                let (people, sites) = (restored(&house.people, &all), Sites::new());
                prop_assert_eq!((people.len(), people.held_bytes()), (house.people.len(), house.people.held_bytes()));
                again = Some(House { people, sites, out: Recorder::default(), offset: house.offset });
                house.out = Recorder::default();
            }
            watermark_ms += step_minutes * (1 + n as i64 * n as i64 / 4) * MINUTE_MS;
            for house in [Some(&mut house), again.as_mut()].into_iter().flatten() {
                house.offset += 1;
                let env = Env { sites: &house.sites, scorer: &Heuristic };
                let cx = context(house.offset, watermark_ms, watermark_ms, "");
                house.people.on_watermark(1 + n % 2, env, &cx, &mut house.out);
            }
        }
        let again = again.unwrap();
        prop_assert_eq!(again.out.rows, house.out.rows);
        prop_assert_eq!(again.people.len(), house.people.len());
    }

    #[test]
    fn a_damaged_person_is_an_error_or_a_person(told in events(20), at in any::<prop::sample::Index>(), flip in 1..=255u8) {
        let mut house = House::new();
        told.iter().for_each(|told| house.event(&told.event()));
        let Some(person) = house.people.get(PERSON) else { return Ok(()) };
        let mut value = Vec::new();
        person.encode(&mut value);
        let at = at.index(value.len());
        prop_assert!(Person::decode(&value[..at], |site| site.into()).is_err(), "cut");
        value[at] ^= flip;
        let _ = Person::decode(&value, |site| site.into());
    }
}
