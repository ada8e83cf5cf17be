//! A shop in a test: its orders, and its persons in partitions of their own.

use std::collections::{BTreeMap, VecDeque};

use millstream_schemas::{Decimal, Id, Line, OrderEntry, OrderFact, RefundMatch, purposes};
use proptest::prelude::*;

use crate::buyer::{Buyer, Changed, Folded, Owner, Past, apply, emit_matches};
use crate::orders::Orders;
use crate::site::Sites;
use crate::testing::{Recorder, context, decode};

pub const DAY_MS: i64 = 86_400_000;

/// Product, pieces, amount.
pub type Piece = (&'static str, i64, i64);

/// An entry that owns its texts.
#[derive(Debug, Clone)]
pub struct Entry {
    pub kind: &'static str,
    pub order_id: Option<String>,
    pub refund_id: Option<String>,
    pub event_id: String,
    pub time_ms: i64,
    pub source: u128,
    pub hand_overs: i32,
    pub currency: &'static str,
    pub amount_minor: i64,
    pub lines: Vec<Piece>,
}

/// Whose a source is after so many hand-overs.
pub fn person_of(source: u128, hand_overs: i32) -> Id {
    Id(100 + (source + hand_overs as u128) % 3)
}

impl Entry {
    pub fn purchase(order_id: &str, time_ms: i64, lines: &[Piece]) -> Self {
        Self {
            kind: "purchase",
            order_id: Some(order_id.to_owned()),
            refund_id: None,
            event_id: format!("e-{order_id}"),
            time_ms,
            source: 0,
            hand_overs: 0,
            currency: "EUR",
            amount_minor: lines.iter().map(|line| line.2).sum(),
            lines: lines.to_vec(),
        }
    }

    pub fn refund(refund_id: &str, time_ms: i64, lines: &[Piece]) -> Self {
        Self {
            kind: "refund",
            order_id: None,
            refund_id: Some(refund_id.to_owned()),
            ..Self::purchase(refund_id, time_ms, lines)
        }
    }

    pub fn naming(self, order_id: &str) -> Self {
        Self { order_id: Some(order_id.to_owned()), ..self }
    }

    /// That the source of `self` has moved.
    pub fn moved(&self, hand_overs: i32) -> Self {
        let event_id = format!("{}-moved-{hand_overs}", self.event_id);
        let refund_id = if self.order_id.is_some() { None } else { self.refund_id.clone() };
        Self { kind: "owner", hand_overs, event_id, refund_id, lines: Vec::new(), ..self.clone() }
    }

    fn record(&self) -> OrderEntry<'_> {
        let lines = self.lines.iter().zip(1..).map(|(&(product_id, quantity, amount_minor), line_no)| Line {
            line_no,
            product_id,
            quantity,
            unit_price: Decimal::ZERO,
            amount_minor,
            ..Line::default()
        });
        OrderEntry {
            site: "shop",
            kind: self.kind,
            order_id: self.order_id.as_deref(),
            refund_id: self.refund_id.as_deref(),
            event_id: &self.event_id,
            event_time: self.time_ms,
            consent: purposes::NECESSARY,
            source: Some(Id(self.source)),
            person: Some(person_of(self.source, self.hand_overs)),
            hand_overs: self.hand_overs,
            currency: Some(self.currency),
            amount_minor: Some(self.amount_minor),
            lines: lines.collect(),
            ..OrderEntry::default()
        }
    }
}

/// Tells the orders operator of `entries`, in this order, and returns the facts it sends.
pub fn facts(entries: &[Entry]) -> Vec<Vec<u8>> {
    let (mut orders, mut out, sites) = (Orders::new(), Recorder::default(), Sites::new());
    for (entry, offset) in entries.iter().zip(1..) {
        let record = entry.record();
        let mut body = Vec::new();
        record.encode(&mut body);
        orders.on_entry(&record, &body, &sites, &context(offset, 0, entry.time_ms, &entry.event_id), &mut out);
    }
    out.assert_one_output_per_key_and_revision();
    assert!(out.rejected.is_empty());
    out.to_events.into_iter().map(|(_, body)| body).collect()
}

/// What was folded, simply added up.
pub fn add_up(past: &mut Past, folded: Folded<'_>) {
    match folded {
        Folded::Order(order) => {
            past.orders += 1;
            past.revenue_minor += order.net_reporting_minor().unwrap_or(0);
        }
        Folded::Refund(refund) => {
            past.unmatched_refunds_minor += refund.unmatched_minor();
            past.revenue_minor -= refund.unmatched_reporting_minor().unwrap_or(0);
        }
    }
}

/// The persons. Each has a partition of its own, and those who were there first have the higher offsets.
#[derive(Debug, Default)]
pub struct Persons {
    pub buyers: BTreeMap<Id, Buyer>,
    offsets: BTreeMap<Id, u64>,
    pub out: Recorder,
}

impl Persons {
    pub fn tell(&mut self, body: &[u8]) -> Changed {
        let fact: OrderFact<'_> = decode(body);
        let buyer = self.buyers.entry(fact.person).or_default();
        let offset = self.offsets.entry(fact.person).or_insert(1_000_000 / (fact.person.0 as u64));
        *offset += 1;
        let changed = apply(buyer, &fact, add_up);
        let owner = Owner { site: "shop", person: fact.person, user_id: None };
        let cx = context(*offset, 0, fact.event_time, fact.source_event);
        emit_matches(&changed, buyer, &owner, &cx, &mut self.out);
        changed
    }

    pub fn told(facts: &[Vec<u8>]) -> Self {
        let mut persons = Self::default();
        for body in facts {
            persons.tell(body);
        }
        persons
    }
}

/// The facts in another order: those of one order or refund to one person keep theirs, for they come from one partition.
pub fn interleaved(facts: &[Vec<u8>], choices: &[u32]) -> Vec<Vec<u8>> {
    let mut queues: BTreeMap<(Id, String), VecDeque<Vec<u8>>> = BTreeMap::new();
    for body in facts {
        let fact: OrderFact<'_> = decode(body);
        let about = fact.order_id.or(fact.refund_id).unwrap_or_default().to_owned();
        queues.entry((fact.person, about)).or_default().push_back(body.clone());
    }
    let mut queues: Vec<VecDeque<Vec<u8>>> = queues.into_values().collect();
    let mut order = Vec::new();
    let mut choices = choices.iter().cycle();
    while !queues.is_empty() {
        let at = *choices.next().unwrap_or(&0) as usize % queues.len();
        order.extend(queues[at].pop_front());
        if queues[at].is_empty() {
            queues.swap_remove(at);
        }
    }
    order
}

/// What became of one refund line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub person: Id,
    pub matched: (i64, i64),
    pub unmatched: (i64, i64),
    pub order_ids: Vec<String>,
}

/// Outcomes by refund and line number.
pub type Outcomes = BTreeMap<String, Outcome>;

/// The outcomes as the rows say.
pub fn outcomes(out: &Recorder) -> Outcomes {
    out.assert_one_output_per_key_and_revision();
    let rows = out.current("refund_matches");
    rows.into_iter()
        .map(|(key, body)| {
            let row: RefundMatch<'_> = decode(&body);
            assert_eq!(row.matched_quantity + row.unmatched_quantity, row.quantity);
            assert_eq!(row.matched_minor + row.unmatched_minor, row.amount_minor);
            let outcome = Outcome {
                person: row.person,
                matched: (row.matched_quantity, row.matched_minor),
                unmatched: (row.unmatched_quantity, row.unmatched_minor),
                order_ids: row.order_ids.iter().map(|id| (*id).to_owned()).collect(),
            };
            (key, outcome)
        })
        .collect()
}

const PRODUCTS: [&str; 3] = ["cup", "hat", "pen"];

/// Tellings of a few orders and refunds, with changes of owner, many at equal times.
pub fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let line = (0..3usize, 1..4i64, 0..900i64).prop_map(|(product, pieces, minor)| (PRODUCTS[product], pieces, minor));
    let one = ((0..8u8, 0..4usize, 0..3usize, 0..6i64), (0..2u128, 1..4i32, 0..8u8), prop::collection::vec(line, 0..4))
        .prop_map(|((kind, order, refund, day), (source, hand_overs, currency), lines)| {
            let currency = if currency == 0 { "GBP" } else { "EUR" };
            let purchase = Entry::purchase(&format!("o{order}"), day * DAY_MS, &lines);
            let returned = |id: String| Entry::refund(&id, day * DAY_MS, &lines);
            let entry = match kind {
                0..=2 => purchase,
                3 => returned(format!("r{order}{refund}")).naming(&format!("o{order}")),
                4 | 5 => returned(format!("u{refund}")),
                6 => Entry { source, ..purchase }.moved(hand_overs),
                _ => Entry { source, ..returned(format!("u{refund}")) }.moved(hand_overs),
            };
            Entry { source, currency, ..entry }
        });
    prop::collection::vec(one, 1..40).prop_map(|mut entries| {
        for (at, entry) in entries.iter_mut().enumerate() {
            // Ids that do not rise with time.
            entry.event_id = format!("e{:03}", at * 37 % 101);
        }
        entries
    })
}
