//! Against naive oracles: credits are a function of touches and orders, whatever came when, and add up exactly.

use millstream_schemas::{Attribution, Id, Line, OrderFact};

use super::{HalfLife, Ledger, Owner, Rules, Touch, TouchKind, Touches};
use crate::buyer::{self, Bought, Buyer, Changed};
use crate::core::EventOrder;
use crate::testing::{Recorder, decode};

mod arrival;
mod consent;
mod models;
mod offline;
mod path_data;
mod retention;
mod state;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const OWNER: Owner<'_> = Owner { site: "shop", person: Id(0xa), user_id: None };

fn rules() -> Rules {
    Rules { lookback_ms: 90 * DAY_MS, half_life: HalfLife::Ms(7 * DAY_MS), horizon_ms: DAY_MS }
}

fn touch(id: u128, at_ms: i64, channel: &str) -> Touch<'_> {
    Touch { at_ms, id: Id(id), kind: TouchKind::Session, consent: 3, order: None, channel, utm: [None; 3] }
}

fn ledger<'a>(touches: impl IntoIterator<Item = Touch<'a>>) -> Ledger {
    let mut packed = Touches::default();
    for touch in touches {
        packed.add(&touch);
    }
    Ledger::of([], &packed)
}

fn order(order_id: &str, at_ms: i64, amount_minor: i64) -> Bought {
    Bought {
        order_id: order_id.into(),
        place: EventOrder::new(at_ms, None, order_id),
        currency: *b"EUR",
        amount_minor,
        reporting_amount_minor: Some(amount_minor),
        consent: 3,
        ..Bought::default()
    }
}

fn fact<'a>(order_id: &'a str, at_ms: i64, amount_minor: i64, refunded_minor: i64) -> OrderFact<'a> {
    OrderFact {
        site: "shop",
        kind: "order",
        order_id: Some(order_id),
        event_id: order_id,
        event_time: at_ms,
        consent: 3,
        person: OWNER.person,
        currency: Some("EUR"),
        amount_minor: Some(amount_minor),
        reporting_amount_minor: Some(amount_minor),
        refunded_minor,
        lines: vec![Line { line_no: 1, product_id: "p", quantity: 3, amount_minor, ..Line::default() }],
        ..OrderFact::default()
    }
}

fn tell(buyer: &mut Buyer, fact: &OrderFact<'_>) -> Changed {
    buyer::apply(buyer, fact, |_, _| {})
}

/// (order, model, touch) → (position, touches, channel, gross, refunded, credited) of the current rows.
type View = std::collections::BTreeMap<String, (i32, i32, String, i64, i64, i64)>;

fn view(out: &Recorder) -> View {
    out.assert_one_output_per_key_and_revision();
    let rows = out.current("attribution").into_iter().map(|(key, body)| {
        let row: Attribution<'_> = decode(&body);
        let amounts = (row.gross_minor, row.refunded_minor, row.credited_minor);
        (key, (row.position, row.touches, row.channel.to_owned(), amounts.0, amounts.1, amounts.2))
    });
    rows.collect()
}

/// What the view must be: the credits of the touches and orders as they stand.
fn expected(ledger: &Ledger, buyer: &Buyer, rules: &Rules) -> View {
    let credits = super::credits_of(ledger, &buyer.orders, rules);
    let rows = credits.iter().map(|credit| {
        let touch_id = credit.touch.map_or_else(
            || crate::orders::state_id(OWNER.site, Some(&credit.order.order_id), None).unwrap(),
            |touch| touch.id,
        );
        let key = format!("{}/{}/{touch_id}", credit.order.order_id, credit.model.symbol());
        let channel = credit.touch.map_or("none", |touch| touch.channel).to_owned();
        let (position, touches) = (credit.position as i32, credit.touches as i32);
        (key, (position, touches, channel, credit.gross_minor, credit.refunded_minor, credit.credited_minor()))
    });
    rows.collect()
}
