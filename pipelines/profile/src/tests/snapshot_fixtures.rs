//! Snapshots that earlier versions wrote stay readable for ever. See `fixtures/README.md`.

use std::collections::BTreeMap;

use millstream_operators::orders::Order;
use millstream_operators::person::{HeldKind, Person};
use millstream_runtime::snapshot::testing::{Merged, Snapshots, from_bytes, restore, to_bytes};
use millstream_runtime::{SnapshotState, Stage};
use millstream_schemas::{Control, Event, Id, Line, OrderEntry, SourceMoved};

use super::promotions::{BACK, champion, promotion};
use super::world::{Output, SITE, World, framed};

/// A fixture: its name, its bytes, and the hash of them, so that nobody changes it unawares.
const FIXTURES: [(&str, &[u8], &str); 2] = [
    ("snapshot-v1.bin", include_bytes!("../../fixtures/snapshot-v1.bin"), "4a87b4a52306485d6cb00e0e7a879861"),
    ("snapshot-v2.bin", include_bytes!("../../fixtures/snapshot-v2.bin"), "c3eca45a3f3bfd78447a2d5303339954"),
];
/// Those that another logic version wrote: what is said after them means the same, under other revisions.
const OF_OTHER_LOGIC: [&str; 1] = ["snapshot-v1.bin"];
/// The hash of what the task says after it, however it came by the state. It changes with the logic version alone.
const SAID_AFTER: &str = "2cd19d47d6b608be946fd52670f3f460";

type View = BTreeMap<(u16, Vec<u8>), String>;

const MINUTE_MS: i64 = 60_000;
const DAY: i64 = 1_440;
/// Splits sessions by campaign and has no model.
const OTHER_SITE: &str = "shop-b";

const ANONYMOUS: Id = Id(0xa0);
const KNOWN: Id = Id(0xa1);
const OTHER: Id = Id(0xb1);
const SECOND: Id = Id(0xc0);

struct Script {
    world: World,
}

impl Script {
    fn event(
        &mut self,
        id: &str,
        kind: &str,
        minute: i64,
        source: u128,
        person: Id,
        change: impl FnOnce(&mut Event<'_>),
    ) {
        let mut event = Event {
            site: SITE,
            event_id: id,
            event_type: kind,
            event_time: minute * MINUTE_MS,
            tracker_session_id: Some("t"),
            consent: 15,
            source: Some(Id(source)),
            person: Some(person),
            person_user_id: (person == KNOWN).then_some("anna"),
            channel: "email",
            utm_campaign: Some("spring"),
            page_url: Some("https://shop.example/a"),
            page_view_id: Some("v"),
            device_class: "mobile",
            country: Some("GB"),
            ..Event::default()
        };
        change(&mut event);
        self.world.event(&event);
    }

    fn order(
        &mut self,
        id: &str,
        kind: &str,
        minute: i64,
        ids: (Option<&str>, Option<&str>),
        lines: &[(&str, i64, i64)],
    ) {
        let amount_minor = lines.iter().map(|line| line.2).sum();
        let is_touch = kind == "touch";
        let (order_id, refund_id) = ids;
        let source = match order_id {
            Some("o4") => (4, SECOND),
            _ if minute < 440 * DAY => (1, ANONYMOUS),
            _ => (1, KNOWN),
        };
        if !is_touch {
            self.event(id, kind, minute, source.0, source.1, |event| {
                event.order_id = order_id.map(|id| &*id.to_owned().leak());
                event.refund_id = refund_id.map(|id| &*id.to_owned().leak());
                (event.currency, event.amount_minor) = (Some("EUR"), Some(amount_minor));
            });
        }
        let numbered = |(at, line): (usize, &(&'static str, i64, i64))| Line {
            line_no: at as i32 + 1,
            product_id: line.0,
            quantity: line.1,
            amount_minor: line.2,
            cost_minor: Some(3),
            ..Line::default()
        };
        let lines: Vec<(&'static str, i64, i64)> =
            lines.iter().map(|line| (&*line.0.to_owned().leak(), line.1, line.2)).collect();
        self.world.order_entry(&OrderEntry {
            site: SITE,
            kind,
            order_id,
            refund_id,
            event_id: id,
            event_time: minute * MINUTE_MS,
            consent: 15,
            source: Some(Id(source.0)),
            person: Some(source.1),
            person_user_id: (source.1 == KNOWN).then_some("anna"),
            currency: (!is_touch).then_some("EUR"),
            amount_minor: (!is_touch).then_some(amount_minor),
            lines: lines.iter().enumerate().map(numbered).collect(),
            channel: is_touch.then_some("phone"),
            campaign: is_touch.then_some("call"),
            ..OrderEntry::default()
        });
    }

    fn control(&mut self, number: i64, site: &str, body: &str) {
        let control = Control { number, kind: "site_config", site, effective_at: number * 1_000, body };
        self.world.append(0, &[], framed(&control));
    }

    fn moved(&mut self, source: u128, from: Id, to: Id) {
        self.world.moved(&SourceMoved {
            site: SITE,
            source: Id(source),
            from_person: from,
            to_person: to,
            user_id: Some("anna"),
            event_time: 5,
            source_event: "login",
        });
    }

    fn until(&mut self, minute: i64) {
        self.world.drain();
        self.world.watermark(minute * MINUTE_MS);
        self.world.drain();
    }

    /// A task whose state has something of everything.
    fn head() -> Self {
        let mut script = Self { world: World::new(1) };
        script.world.stages[0].track();
        script.control(
            1,
            SITE,
            r#"{"consent_default":["analytics"],"horizon_ms":7200000,"churn":{"difference":0.05}}"#,
        );
        script.control(2, SITE, r#"{"consent_default":[],"horizon_ms":7200000,"churn":{"difference":0.05}}"#);
        script.control(1, OTHER_SITE, r#"{"new_session_on_campaign":true}"#);
        // Of a site that nobody visits: no artefact of that name is needed, now or ever.
        script.world.append(0, &[], promotion(1, "shop-c", &champion(7)));
        script.world.append(0, &[], promotion(2, OTHER_SITE, BACK));
        // What is long past: a visit, an order that can be revised no more.
        script.event("a1", "page_view", 0, 1, ANONYMOUS, |_| {});
        script.order("a2", "purchase", 5, (Some("o1"), None), &[("p", 2, 500)]);
        script.until(440 * DAY);
        // A visit that is folded, orders, refunds, touches.
        let day = 441 * DAY;
        script.event("b0", "page_view", day - 600, 1, ANONYMOUS, |_| {});
        script.world.drain();
        script.moved(1, ANONYMOUS, KNOWN);
        script.event("b1", "page_view", day, 1, KNOWN, |event| event.channel = "paid_search");
        script.order("b2", "purchase", day + 5, (Some("o2"), None), &[("p", 3, 900), ("q", 1, 100)]);
        script.order("b3", "purchase", day + 10, (Some("o3"), None), &[("q", 2, 200)]);
        script.order("b4", "refund", day + 20, (None, Some("r1")), &[("q", 2, 190)]);
        script.order("b5", "refund", day + 25, (Some("o2"), Some("r2")), &[("p", 1, 300)]);
        script.order("b6", "touch", day - 30, (Some("o3"), None), &[]);
        script.event("b7", "offline_touch", day - 40, 1, KNOWN, |event| event.channel = "mail");
        // An order that is told to Anna when its source becomes hers.
        script.order("b8", "purchase", day + 35, (Some("o4"), None), &[("s", 1, 70)]);
        script.world.drain();
        script.moved(4, SECOND, KNOWN);
        script.until(day + 10 * 60);
        // One session that is closed, one that is open, and single events where campaigns split.
        let now = 445 * DAY;
        script.event("c1", "page_view", now, 1, KNOWN, |_| {});
        script.until(now + 31);
        script.event("c2", "add_to_cart", now + 50, 2, SECOND, |event| event.page_url = None);
        script.event("c3", "page_view", now + 51, 2, SECOND, |event| event.page_view_id = Some("w"));
        script.event("c5", "page_view", now + 52, 1, KNOWN, |_| {});
        for (at, id, campaign) in [(0, "d1", "x"), (1, "d2", "y")] {
            script.event(id, "page_view", now + 45 + at, 3, OTHER, |event| {
                (event.site, event.utm_campaign) = (OTHER_SITE, Some(campaign));
            });
        }
        script.until(now + 55);
        // The second source becomes Anna's; its state is still on the way.
        let next = script.world.log[0].len();
        script.moved(2, SECOND, KNOWN);
        script.event("c4", "page_view", now + 56, 2, KNOWN, |_| {});
        script.world.epoch(0, 2, false);
        assert_eq!(script.world.next[0], next + 2);
        script
    }

    /// What comes then, until everything has happened that can.
    fn tail(mut self) -> (Vec<Output>, View) {
        let now = 445 * DAY;
        let said = self.world.outputs.len();
        self.event("e1", "page_view", now + 57, 3, OTHER, |event| event.site = OTHER_SITE);
        self.event("e2", "page_view", now - 20, 1, KNOWN, |_| {});
        self.order("e3", "refund", now + 58, (None, Some("r3")), &[("p", 1, 250)]);
        self.order("e4", "purchase", now + 59, (Some("o2"), None), &[("p", 3, 950)]);
        for day in [445, 446, 447, 480, 840, 850, 880, 4_300] {
            self.until(day * DAY + 70);
        }
        let view = self.world.view();
        (self.world.outputs.split_off(said), view)
    }
}

fn state(script: &mut Script) -> Merged {
    let mut snapshots = Snapshots::new();
    snapshots.take(&mut script.world.stages[0]);
    snapshots.merged()
}

fn stage_is_blocked(stage: &dyn Stage) -> bool {
    stage.blocked().is_some_and(|why| why.contains(&Id(7).to_string()))
}

fn hash(outputs: &[Output]) -> String {
    let all: Vec<u8> = outputs
        .iter()
        .flat_map(|output| [&output.topic.to_be_bytes(), &*output.key, &[0xff], &*output.value].concat())
        .collect();
    Id::of(&[&all]).to_string()
}

/// In a new version of the format: `cargo test -p millstream-profile --lib write_the_fixture -- --ignored`.
#[test]
#[ignore = "writes the fixture of this program's format"]
#[expect(clippy::disallowed_methods, reason = "asked for by hand, when a format changes")]
fn write_the_fixture() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/snapshot-new.bin");
    std::fs::write(path, to_bytes(&state(&mut Script::head()))).unwrap();
}

#[test]
fn snapshots_of_every_version_are_read_and_give_the_same() {
    let (undisturbed, view) = Script::head().tail();
    assert_eq!(hash(&undisturbed), SAID_AFTER);
    for (name, bytes, content) in FIXTURES {
        assert_eq!(Id::of(&[bytes]).to_string(), content, "{name} was changed; it never may");
        let fixture = from_bytes(bytes).unwrap();
        let mut script = Script::head();
        script.world.stages[0] = super::world::factory(1).stage(0);
        let stage = &mut script.world.stages[0];
        stage.track();
        restore(&fixture, stage).unwrap();
        let about = stage.about();
        assert_eq!((about["persons"].as_str(), about["orders"].as_str()), ("3", "4"), "{name}");
        assert!(about["models"].contains("shop-c: propensity") && stage_is_blocked(stage), "{name}");
        assert_eq!(about["watermark"], "1971-03-22T00:55:00Z", "{name}");
        let (said, meant) = script.tail();
        assert!(meant == view, "{name}");
        assert_eq!(hash(&said) == SAID_AFTER, !OF_OTHER_LOGIC.contains(&name), "{name}");
    }
}

/// The newest fixture is in this program's format: written again, it is the same, and it has something of everything.
#[test]
fn the_newest_fixture_is_what_this_program_writes() {
    let (_, bytes, _) = FIXTURES[FIXTURES.len() - 1];
    let fixture = from_bytes(bytes).unwrap();
    assert!(fixture == state(&mut Script::head()), "this program writes something else");
    let mut has = BTreeMap::new();
    let mut see = |what: &'static str, is_there: bool| *has.entry(what).or_insert(false) |= is_there;
    for ((section, _), value) in &fixture {
        let mut again = Vec::new();
        match section {
            1 => {
                let person = Person::decode(value, |site| site.into()).unwrap();
                person.encode(&mut again);
                see("user", person.user_id.is_some());
                see("later timer", person.armed_later_ms != i64::MAX);
                for source in &person.sources {
                    see("open session", source.sessions.list.iter().any(|session| !session.closed));
                    see("closed session", source.sessions.list.iter().any(|session| session.closed));
                    see("single events", source.sessions.single.is_some());
                    see("folded visits", !source.visits.is_empty());
                    see("touches", !source.touches.is_empty());
                    see("purchases", source.purchases.is_some());
                    see("hand-overs", source.hand_overs > 0);
                    let held = source.hold.iter().flat_map(|hold| &hold.queue);
                    see("held event", held.clone().any(|held| held.kind == HeldKind::Event));
                    see("hold", source.hold.is_some());
                }
                let Some(trade) = &person.trade else { continue };
                see("past orders", trade.buyer.past.orders > 0);
                see("orders", trade.buyer.orders.len() == 3);
                see("named refund", trade.buyer.orders.iter().any(|order| order.named_refunds_minor > 0));
                see("matches", trade.buyer.refunds.iter().any(|refund| refund.matched_minor() > 0));
                see("named touch", !trade.named.is_empty());
                see("churn", trade.churn.is_some());
                see("value", trade.clv.is_some());
            }
            2 => {
                let order = Order::decode(value).unwrap();
                order.encode(&mut again);
                see("purchase", order.purchase.is_some());
                see("refund", !order.refunds.is_empty());
                see("touch", !order.touches.is_empty());
                see("owner", !order.owners.is_empty());
                see("addressee", order.addressee.person.is_some());
            }
            _ => again.clone_from(value),
        }
        assert_eq!(&again, value);
    }
    let missing: Vec<_> = has.iter().filter(|(_, is_there)| !**is_there).map(|(what, _)| *what).collect();
    assert!(missing.is_empty(), "the fixture lacks {missing:?}");
}
