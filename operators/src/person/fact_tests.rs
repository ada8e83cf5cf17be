//! What orders' partitions tell of a person, and what events, time and hand-overs do to it afterwards.

use millstream_schemas::input::Reason;
use millstream_schemas::{Attribution, Event, Id, OrderFact, Profile, SourceMoved};

use super::{Env, Incoming, People};
use crate::core::limits::{BUYER_RETENTION_MS, CUSTOMER_RETENTION_MS};
use crate::site::Sites;
use crate::testing::{MINUTE_MS, PERSON, Recorder, SOURCE, Told, Witness, context, decode};

const DAY_MS: i64 = 1_440 * MINUTE_MS;
const TABLES: [&str; 4] = ["attribution", "churn", "clv", "profiles"];

#[derive(Default)]
struct House {
    people: People,
    sites: Sites,
    out: Recorder,
    offset: u64,
}

impl House {
    fn event(&mut self, event: &Event<'_>) {
        let mut body = Vec::new();
        event.encode(&mut body);
        self.offset += 1;
        let env = Env { sites: &self.sites, scorer: &Witness };
        let cx = context(self.offset, i64::MIN, event.event_time, event.event_id);
        self.people.on_event(Incoming { record: event, body: &body }, env, &cx, &mut self.out);
    }

    fn view(&mut self, id: &str, minute: i64, channel: &'static str) {
        let told = Told {
            id: id.to_owned(),
            kind: "page_view",
            time_ms: minute * MINUTE_MS,
            consent: 15,
            page: Some("https://shop/".to_owned()),
            channel,
            ..Told::default()
        };
        self.event(&told.event());
    }

    fn fact(&mut self, fact: &OrderFact<'_>) {
        self.offset += 1;
        let env = Env { sites: &self.sites, scorer: &Witness };
        let cx = context(self.offset, i64::MIN, fact.event_time, fact.source_event);
        self.people.on_order_fact(fact, env, &cx, &mut self.out);
        self.out.assert_one_output_per_key_and_revision();
    }

    fn watermark(&mut self, watermark_ms: i64) {
        self.offset += 1;
        let env = Env { sites: &self.sites, scorer: &Witness };
        let cx = context(self.offset, watermark_ms, watermark_ms, "");
        assert!(!self.people.on_watermark(1_000, env, &cx, &mut self.out), "no timer sets another one that is due");
        self.out.assert_one_output_per_key_and_revision();
    }

    fn current(&self, table: &str) -> Vec<Vec<u8>> {
        self.out.current(table).into_values().collect()
    }

    /// Touch and gross credit of one model.
    fn credits(&self, model: &str) -> Vec<(String, i64)> {
        let rows = self.current("attribution");
        let rows: Vec<Attribution<'_>> = rows.iter().map(|body| decode(body)).collect();
        let mut credits: Vec<(String, i64)> =
            rows.iter().filter(|row| row.model == model).map(|row| (row.channel.to_owned(), row.gross_minor)).collect();
        credits.sort();
        credits
    }
}

fn order(kind: &'static str) -> OrderFact<'static> {
    OrderFact {
        site: "shop",
        kind,
        order_id: Some("o"),
        event_id: "purchase",
        event_time: 300 * MINUTE_MS,
        source_event: "purchase",
        consent: 15,
        source: Some(SOURCE),
        person: PERSON,
        currency: Some("EUR"),
        amount_minor: Some(1_001),
        reporting_amount_minor: Some(1_001),
        ..OrderFact::default()
    }
}

#[test]
fn a_fact_may_come_first_and_what_is_gone_leaves_nothing() {
    let mut house = House::default();
    house.fact(&order("order"));
    assert_eq!(house.people.len(), 1);
    assert_eq!(TABLES.map(|table| house.current(table).len()), [6, 1, 1, 1]);
    let body = house.current("profiles").remove(0);
    let profile: Profile<'_> = decode(&body);
    assert_eq!((profile.orders, profile.revenue_minor, profile.sessions, profile.sources), (1, 1_001, 0, 1));
    assert_ne!(profile.churn_tier, "none");
    assert_eq!((profile.first_seen_at, profile.last_order_at), (300 * MINUTE_MS, Some(300 * MINUTE_MS)));
    house.fact(&order("order_gone"));
    assert_eq!(TABLES.map(|table| house.current(table).len()), [0; 4]);
    assert!(house.people.is_empty());
    // One that never was changes nothing and keeps nobody.
    let rows = house.out.rows.len();
    house.fact(&OrderFact { order_id: Some("other"), ..order("order_gone") });
    assert!(house.people.is_empty() && house.out.rows.len() == rows);
}

#[test]
fn credits_follow_late_events_folding_and_hand_overs() {
    let mut house = House::default();
    house.view("b", 290, "email");
    house.fact(&order("order"));
    assert_eq!(house.credits("first"), [("email".to_owned(), 1_001)]);
    // A visit hours before, told late.
    house.view("a", 100, "paid_search");
    assert_eq!(house.credits("first"), [("paid_search".to_owned(), 1_001)]);
    assert_eq!(house.credits("linear"), [("email".to_owned(), 500), ("paid_search".to_owned(), 501)]);
    // One after the order is no touch of it; nor does folding change anything.
    let credits = |house: &House| house.out.rows.iter().filter(|row| row.topic == "attribution").count();
    let before = credits(&house);
    house.view("c", 500, "direct");
    house.watermark(60 * DAY_MS);
    let used = house.people.memory_use([PERSON]);
    assert!(used.sessions == 0 && used.touches > 0 && used.visits > 0 && used.orders > 0 && used.scores > 0);
    assert_eq!(credits(&house), before);
    // The source leaves; the order stays until its own partition says so.
    let moved = SourceMoved {
        site: "shop",
        source: SOURCE,
        from_person: PERSON,
        to_person: Id(9),
        event_time: 61 * DAY_MS,
        source_event: "login",
        ..SourceMoved::default()
    };
    house.offset += 1;
    let cx = context(house.offset, 60 * DAY_MS, moved.event_time, "login");
    let mut out = std::mem::take(&mut house.out);
    let env = Env { sites: &house.sites, scorer: &Witness };
    house.people.on_moved_away(Incoming { record: &moved, body: b"" }, env, &cx, &mut out);
    house.out = out;
    assert_eq!(house.credits("linear"), [("none".to_owned(), 1_001)]);
    let body = house.current("profiles").remove(0);
    assert_eq!(decode::<Profile<'_>>(&body).sessions, 0);
    house.fact(&order("order_gone"));
    assert_eq!(TABLES.map(|table| house.current(table).len()), [0; 4]);
    assert!(house.people.is_empty());
}

#[test]
fn a_customer_goes_in_the_end() {
    let mut house = House::default();
    house.view("a", 290, "email");
    house.fact(&order("order"));
    for day in (1..=480).step_by(7) {
        house.watermark(day * DAY_MS);
    }
    let used = house.people.memory_use([PERSON]);
    assert_eq!((used.sessions, used.visits, used.touches), (0, 0, 0));
    let trade = house.people.get(PERSON).and_then(|person| person.trade.clone()).unwrap();
    assert!(trade.buyer.orders.is_empty() && trade.buyer.past.orders == 1, "folded");
    house.watermark(CUSTOMER_RETENTION_MS + 2 * DAY_MS);
    assert!(house.people.is_empty());
    // Forgotten is not gone: the rows stay as they were.
    assert_eq!(TABLES.map(|table| house.current(table).len()), [6, 1, 1, 1]);
}

#[test]
fn an_undone_fact_was_never_there() {
    let mut house = House::default();
    house.view("a", 290, "email");
    house.people.commit();
    house.fact(&order("order"));
    house.people.undo();
    assert!(house.people.get(PERSON).is_some_and(|person| person.trade.is_none()));
    let told = house.out.rows.len();
    house.fact(&order("order"));
    let (first, again) = house.out.rows.split_at(told);
    let of_facts = |rows: &[crate::testing::Row]| rows.iter().filter(|row| row.topic == "attribution").count();
    assert_eq!((of_facts(first), of_facts(again)), (6, 6));
}

#[test]
fn what_is_told_of_sums_is_rejected_and_changes_nothing() {
    let mut house = House::default();
    house.fact(&order("order"));
    house.watermark(300 * MINUTE_MS + BUYER_RETENTION_MS + 1);
    let before = house.people.get(PERSON).unwrap().trade.clone();
    assert_eq!(before.as_ref().unwrap().buyer.past.orders, 1);
    let rows = house.out.rows.len();
    let never_known = OrderFact { order_id: Some("older"), event_id: "older", event_time: 5, ..order("order") };
    let refund = OrderFact { order_id: None, refund_id: Some("r"), ..order("refund") };
    for late in [
        &order("order"),
        &order("order_gone"),
        &never_known,
        &refund,
        &OrderFact { kind: "refund_gone", ..refund.clone() },
    ] {
        house.fact(late);
        assert_eq!(house.out.rejected.pop(), Some(Reason::TooLate), "{} {:?}", late.kind, late.order_id);
    }
    assert_eq!(house.out.rows.len(), rows);
    assert_eq!(house.people.get(PERSON).unwrap().trade, before);
    // A newer one is not.
    house.fact(&OrderFact { order_id: Some("new"), event_id: "new", event_time: 301 * MINUTE_MS, ..order("order") });
    assert!(house.out.rejected.is_empty() && house.out.rows.len() > rows);
}
