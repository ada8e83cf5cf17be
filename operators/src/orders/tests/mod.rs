//! Against a naive oracle: of each order and refund the latest telling holds, whatever came when.

mod touches;

use std::collections::BTreeMap;

use millstream_schemas::input::Reason;
use millstream_schemas::{Decimal, Id, Line, Order, OrderEntry, OrderLine, Refund, purposes};
use proptest::prelude::*;

use super::{Orders, route_id, state_id};
use crate::core::limits::{ORDER_RETENTION_MS, REFUNDS_PER_ORDER};
use crate::site::Sites;
use crate::testing::{Recorder, context, decode};

/// An entry that owns its texts.
#[derive(Debug, Clone)]
struct Entry {
    kind: &'static str,
    order_id: Option<&'static str>,
    refund_id: Option<&'static str>,
    event_id: String,
    time_ms: i64,
    source: Option<u128>,
    person: u128,
    hand_overs: i32,
    currency: &'static str,
    amount_minor: i64,
    lines: usize,
    consent: i32,
}

impl Entry {
    fn record(&self) -> OrderEntry<'_> {
        let lines = (1..=self.lines).map(|no| Line {
            line_no: no as i32,
            product_id: "p",
            quantity: 2,
            unit_price: Decimal::ZERO,
            amount_minor: self.amount_minor / self.lines as i64,
            ..Line::default()
        });
        OrderEntry {
            site: "shop",
            kind: self.kind,
            order_id: self.order_id,
            refund_id: self.refund_id,
            event_id: &self.event_id,
            event_time: self.time_ms,
            consent: self.consent,
            source: self.source.map(Id),
            person: self.source.is_some().then_some(Id(self.person)),
            hand_overs: self.hand_overs,
            currency: Some(self.currency),
            amount_minor: Some(self.amount_minor),
            lines: lines.collect(),
            ..OrderEntry::default()
        }
    }
}

fn run(entries: &[Entry]) -> (Recorder, Orders) {
    let (mut orders, mut out, sites) = (Orders::new(), Recorder::default(), Sites::new());
    for (at, entry) in entries.iter().enumerate() {
        feed(&mut orders, entry, at as u64 + 1, &sites, &mut out);
    }
    (out, orders)
}

fn feed(orders: &mut Orders, entry: &Entry, offset: u64, sites: &Sites, out: &mut Recorder) {
    let record = entry.record();
    let mut body = Vec::new();
    record.encode(&mut body);
    orders.on_entry(&record, &body, sites, &context(offset, 0, record.event_time, record.event_id), out);
}

fn purchase(order_id: &'static str, event_id: &str, time_ms: i64, amount_minor: i64, lines: usize) -> Entry {
    Entry {
        kind: "purchase",
        order_id: Some(order_id),
        refund_id: None,
        event_id: event_id.to_owned(),
        time_ms,
        source: Some(7),
        person: 70,
        hand_overs: 0,
        currency: "EUR",
        amount_minor,
        lines,
        consent: purposes::NECESSARY,
    }
}

fn refund(order_id: Option<&'static str>, refund_id: &'static str, time_ms: i64, amount_minor: i64) -> Entry {
    Entry { kind: "refund", order_id, refund_id: Some(refund_id), ..purchase("", refund_id, time_ms, amount_minor, 1) }
}

fn owner(order_id: &'static str, hand_overs: i32, person: u128) -> Entry {
    Entry { kind: "owner", hand_overs, person, ..purchase(order_id, "login", 9_000, 0, 0) }
}

/// (amount, refunded, person, lines) by order; (match, amount, person) by refund; number of current lines.
type View = (BTreeMap<String, (i64, i64, Option<Id>, i64)>, BTreeMap<String, (String, i64, Option<Id>)>, usize);

fn view(out: &Recorder) -> View {
    out.assert_one_output_per_key_and_revision();
    let orders = out.current("orders").into_iter().map(|(key, body)| {
        let row: Order<'_> = decode(&body);
        (key, (row.amount_minor, row.refunded_minor, row.person, row.lines))
    });
    let refunds = out.current("refunds").into_iter().map(|(key, body)| {
        let row: Refund<'_> = decode(&body);
        (key, (row.r#match.to_owned(), row.amount_minor, row.person))
    });
    (orders.collect(), refunds.collect(), out.current("order_lines").len())
}

fn oracle(entries: &[Entry]) -> View {
    let latest = |kind: &str| {
        let mut latest: BTreeMap<(Option<&str>, Option<&str>), &Entry> = BTreeMap::new();
        for entry in entries.iter().filter(|entry| entry.kind == kind) {
            let known = latest.entry((entry.order_id, entry.refund_id)).or_insert(entry);
            if (entry.time_ms, &entry.event_id) > (known.time_ms, &known.event_id) {
                *known = entry;
            }
        }
        latest
    };
    let (purchases, refunds) = (latest("purchase"), latest("refund"));
    let person = |told: &Entry| {
        let moved = entries
            .iter()
            .filter(|entry| entry.kind == "owner" && entry.order_id == told.order_id && entry.source == told.source);
        let moved = moved.max_by_key(|entry| entry.hand_overs).map(|entry| entry.person);
        told.source.map(|_| Id(moved.unwrap_or(told.person)))
    };
    let orders = purchases.iter().map(|((order_id, _), told)| {
        let refunds = refunds.iter().filter(|((of, _), _)| of == order_id);
        let refunds = refunds.filter(|(_, refund)| refund.currency == told.currency);
        let refunded = refunds.map(|(_, refund)| refund.amount_minor).sum();
        (order_id.unwrap().to_owned(), (told.amount_minor, refunded, person(told), told.lines as i64))
    });
    let refund_rows = refunds.iter().map(|((order_id, refund_id), told)| {
        let order = order_id.and_then(|order_id| purchases.get(&(Some(order_id), None)));
        let matched = order.is_some_and(|order| order.currency == told.currency);
        let matched = if matched { "matched" } else { "unmatched" };
        (refund_id.unwrap().to_owned(), (matched.to_owned(), told.amount_minor, person(told)))
    });
    let lines = purchases.values().map(|told| told.lines).sum();
    (orders.collect(), refund_rows.collect(), lines)
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let orders = ["o1", "o2"];
    let one =
        (0..7u8, 0..2usize, 0..4usize, 0..6i64, prop::option::of(0..2u128), 0..5u128, 1..4i32, 1..900i64, 0..4usize)
            .prop_map(move |(kind, order, id, time, source, person, hand_overs, amount_minor, lines)| {
                let base = Entry {
                    source,
                    person,
                    currency: if amount_minor % 3 == 0 { "GBP" } else { "EUR" },
                    lines: lines.max(1),
                    ..purchase(orders[order], "", time, amount_minor, 1)
                };
                match kind {
                    0..=2 => base,
                    // A refund id belongs to one order, or to none.
                    3..=4 => Entry {
                        kind: "refund",
                        refund_id: Some([["r1", "r2", "r3", "r4"], ["s1", "s2", "s3", "s4"]][order][id]),
                        ..base
                    },
                    5 => {
                        Entry { kind: "refund", order_id: None, refund_id: Some(["o1", "u2", "u3", "u4"][id]), ..base }
                    }
                    // What a hand-over says follows from the source and its count.
                    _ => Entry {
                        kind: "owner",
                        hand_overs,
                        person: 100 + hand_overs as u128,
                        source: Some(id as u128 % 2),
                        ..base
                    },
                }
            });
    prop::collection::vec(one, 1..30).prop_map(|mut entries| {
        for (at, entry) in entries.iter_mut().enumerate() {
            entry.event_id = format!("e{:02}", at * 37 % 100);
        }
        entries
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn orders_are_the_oracles_in_any_order(entries in entries(), keys in prop::collection::vec(any::<u32>(), 30)) {
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_by_key(|&at| keys[at]);
        let shuffled: Vec<Entry> = order.into_iter().map(|at| entries[at].clone()).collect();
        prop_assert_eq!(view(&run(&shuffled).0), oracle(&entries));
    }

    #[test]
    fn an_aborted_epoch_leaves_no_trace(entries in entries(), cut in 0..30usize) {
        let cut = cut.min(entries.len());
        let (mut orders, sites) = (Orders::new(), Sites::new());
        let (mut out, mut lost) = (Recorder::default(), Recorder::default());
        for (at, entry) in entries.iter().enumerate().take(cut) {
            feed(&mut orders, entry, at as u64 + 1, &sites, &mut out);
        }
        orders.commit();
        for (at, entry) in entries.iter().enumerate().skip(cut) {
            feed(&mut orders, entry, at as u64 + 1, &sites, &mut lost);
        }
        orders.on_settled(i64::MAX);
        orders.undo();
        for (at, entry) in entries.iter().enumerate().skip(cut) {
            feed(&mut orders, entry, at as u64 + 1, &sites, &mut out);
        }
        prop_assert_eq!(out.rows, run(&entries).0.rows);
    }
}

#[test]
fn a_reloaded_thank_you_page_is_one_row() {
    let (out, orders) = run(&[purchase("o1", "a", 5, 100, 2), purchase("o1", "b", 6, 100, 2)]);
    let (rows, _, lines) = view(&out);
    assert_eq!((rows.len(), lines, orders.len()), (1, 2, 1));
    // One that is older than what is known changes nothing.
    let (out, _) = run(&[purchase("o1", "b", 6, 100, 2), purchase("o1", "a", 5, 999, 3)]);
    assert_eq!(out.rows.iter().filter(|row| row.topic == "orders").count(), 1);
}

#[test]
fn fewer_lines_retract_the_rest() {
    let (out, _) = run(&[purchase("o1", "a", 5, 90, 3), purchase("o1", "b", 6, 90, 1)]);
    let retracted: Vec<_> = out.rows.iter().filter(|row| row.retracted).map(|row| row.key.as_str()).collect();
    assert_eq!(retracted, ["o1/2", "o1/3"]);
    let line = out.current("order_lines");
    let line: OrderLine<'_> = decode(&line["o1/1"]);
    assert_eq!(line.amount_minor, 90);
}

#[test]
fn a_refund_before_its_order_becomes_matched() {
    let (out, _) = run(&[refund(Some("o1"), "r1", 9, 40)]);
    assert_eq!(view(&out).1["r1"].0, "unmatched");
    let (out, _) = run(&[refund(Some("o1"), "r1", 9, 40), purchase("o1", "a", 5, 100, 1)]);
    assert_eq!(view(&out).1["r1"].0, "matched");
    assert_eq!(view(&out).0["o1"].1, 40);
    let row = out.current("refunds");
    let row: Refund<'_> = decode(&row["r1"]);
    assert_eq!(row.event_time, 9, "posted on its own date");
}

#[test]
fn a_refund_in_another_currency_lowers_nothing() {
    let foreign = Entry { currency: "GBP", ..refund(Some("o1"), "r1", 9, 40) };
    let entries = [purchase("o1", "a", 5, 100, 1), foreign, refund(Some("o1"), "r2", 9, 30)];
    let (out, _) = run(&entries);
    let (orders, refunds, _) = view(&out);
    assert_eq!((orders["o1"].1, refunds["r1"].0.as_str(), refunds["r2"].0.as_str()), (30, "unmatched", "matched"));
    // Unless it turns out that it was the order whose currency was wrong.
    let correction = Entry { currency: "GBP", ..purchase("o1", "b", 6, 100, 1) };
    let (out, _) = run(&[&entries[..], &[correction]].concat());
    let (orders, refunds, _) = view(&out);
    assert_eq!((orders["o1"].1, refunds["r1"].0.as_str(), refunds["r2"].0.as_str()), (40, "matched", "unmatched"));
}

#[test]
fn a_new_owner_revises_order_lines_and_refunds_once() {
    let entries =
        [purchase("o1", "a", 5, 100, 2), refund(Some("o1"), "r1", 9, 40), owner("o1", 2, 88), owner("o1", 1, 99)];
    let (out, _) = run(&entries);
    let (orders, refunds, _) = view(&out);
    assert_eq!((orders["o1"].2, refunds["r1"].2), (Some(Id(88)), Some(Id(88))));
    assert!(out.rows.iter().all(|row| row.revision < 4), "the older hand-over changes nothing");
}

#[test]
fn without_the_purpose_necessary_nothing_happens() {
    let (out, orders) = run(&[Entry { consent: purposes::ANALYTICS, ..purchase("o1", "a", 5, 100, 2) }]);
    assert!(out.rows.is_empty() && orders.is_empty());
}

#[test]
fn what_cannot_be_an_order_is_rejected() {
    let (out, orders) = run(&[
        Entry { order_id: None, ..purchase("", "a", 5, 100, 1) },
        Entry { refund_id: None, ..refund(Some("o1"), "", 5, 100) },
        Entry { kind: "gift", ..purchase("o1", "a", 5, 100, 1) },
    ]);
    assert_eq!(out.rejected, [Reason::MissingField, Reason::MissingField, Reason::UnexpectedRecord]);
    assert!(out.rows.is_empty() && orders.is_empty());
}

#[test]
fn refunds_of_an_order_are_bounded() {
    let names: Vec<&'static str> =
        (0..=REFUNDS_PER_ORDER).map(|n| &*Box::leak(format!("r{n}").into_boxed_str())).collect();
    let entries: Vec<Entry> = names.iter().map(|name| refund(Some("o1"), name, 1, 1)).collect();
    assert_eq!(run(&entries).0.rejected, [Reason::TooManyRefunds]);
}

#[test]
fn an_order_is_freed_after_its_retention() {
    let (order, refund) = (purchase("o1", "a", 5, 100, 2), refund(Some("o1"), "r1", 1_000, 40));
    // It counts from the purchase, whichever was told of first; from the refund alone where the purchase never comes.
    for (entries, since_ms) in
        [(vec![order.clone(), refund.clone()], 5), (vec![refund.clone(), order], 5), (vec![refund], 1_000)]
    {
        let (_, mut orders) = run(&entries);
        orders.on_settled(since_ms + ORDER_RETENTION_MS);
        assert_eq!(orders.len(), 1);
        orders.on_settled(since_ms + 1 + ORDER_RETENTION_MS);
        assert!(orders.is_empty());
        orders.on_settled(i64::MAX);
    }
}

#[test]
fn an_order_and_a_refund_of_the_same_name_share_a_partition_but_no_state() {
    assert_eq!(route_id("shop", Some("x"), None), route_id("shop", None, Some("x")));
    assert_ne!(state_id("shop", Some("x"), None), state_id("shop", None, Some("x")));
    assert_eq!(route_id("shop", None, None), None);
}
