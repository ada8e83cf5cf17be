//! Customers made up at random, for the tests of churn and value.

use millstream_schemas::{Id, purposes};
use proptest::prelude::*;

use super::{Customer, SiteDays};
use crate::buyer::{Bought, Buyer, Returned, ReturnedLine};
use crate::core::{EventOrder, RecordKey};

pub const DAY_MS: i64 = 86_400_000;
pub const HOUR_MS: i64 = 3_600_000;
/// 2021-03-08.
pub const START_DAY: i32 = 18_694;

/// Everything but advertising.
pub const MAY_SCORE: u8 = (purposes::ALL & !purposes::ADVERTISING) as u8;
/// Only what an order itself needs.
pub const NECESSARY: u8 = purposes::NECESSARY as u8;

pub fn customer() -> Customer<'static> {
    Customer { site: "shop", key: RecordKey::new("shop", Id(7)), user_id: Some("u1") }
}

pub fn zones() -> impl Strategy<Value = SiteDays> {
    prop::sample::select(vec!["UTC", "Europe/Berlin", "America/Los_Angeles", "Pacific/Kiritimati"])
        .prop_map(|name| SiteDays::of_zone(name).unwrap())
}

/// An order at an hour since the start of `START_DAY` in UTC, in the reporting currency.
pub fn order(number: usize, hour: i64, amount_minor: i64) -> Bought {
    let time_ms = i64::from(START_DAY) * DAY_MS + hour * HOUR_MS;
    Bought {
        order_id: format!("o{number}").into(),
        place: EventOrder::new(time_ms, None, &format!("e{number}")),
        currency: *b"EUR",
        amount_minor,
        reporting_amount_minor: Some(amount_minor),
        cost_minor: Some(amount_minor / 2),
        consent: MAY_SCORE,
        ..Bought::default()
    }
}

/// A refund without order id.
pub fn refund(number: usize, hour: i64, amount_minor: i64, matched_minor: i64) -> Returned {
    let time_ms = i64::from(START_DAY) * DAY_MS + hour * HOUR_MS;
    let line = ReturnedLine { line_no: 1, quantity: 1, amount_minor, matched_minor, ..ReturnedLine::default() };
    Returned {
        refund_id: format!("r{number}").into(),
        place: EventOrder::new(time_ms, None, &format!("f{number}")),
        currency: *b"EUR",
        amount_minor,
        reporting_amount_minor: Some(amount_minor),
        consent: NECESSARY,
        lines: [line].into(),
        ..Returned::default()
    }
}

fn any_order() -> impl Strategy<Value = Bought> {
    let money =
        (0..40_000i64, 0..3u8, prop::option::of(0..20_000i64), prop::sample::select(vec![0, 0, 0, 500, 90_000]));
    (0..500 * 24i64, 0..4u8, money).prop_map(|(hour, consent, (amount_minor, rate, cost_minor, refunded))| {
        let reporting_amount_minor = [Some(amount_minor), Some(amount_minor * 7 / 5), None][usize::from(rate)];
        let consent = if consent == 0 { NECESSARY } else { MAY_SCORE };
        let refunds = refunded.min(amount_minor);
        Bought {
            reporting_amount_minor,
            cost_minor,
            consent,
            named_refunds_minor: refunds / 2,
            matched_refunds_minor: refunds - refunds / 2,
            is_bot: amount_minor % 97 == 0,
            ..order(0, hour, amount_minor)
        }
    })
}

fn any_refund() -> impl Strategy<Value = Returned> {
    (0..520 * 24i64, 1..20_000i64, 0..3i64, any::<bool>()).prop_map(|(hour, amount_minor, share, has_rate)| Returned {
        reporting_amount_minor: has_rate.then_some(amount_minor),
        ..refund(0, hour, amount_minor, amount_minor * share / 2)
    })
}

/// What a customer bought and gave back within 500 days; orders often on the same day.
pub fn buyers() -> impl Strategy<Value = Buyer> {
    let orders = prop::collection::vec(any_order(), 0..12);
    (orders, prop::collection::vec(any_refund(), 0..3)).prop_map(|(mut orders, mut refunds)| {
        orders.sort_by_key(|order| order.place.time_ms);
        refunds.sort_by_key(|refund| refund.place.time_ms);
        for (number, order) in orders.iter_mut().enumerate() {
            order.order_id = format!("o{number:02}").into();
            order.place = EventOrder::new(order.place.time_ms, None, &format!("e{number:02}"));
        }
        for (number, refund) in refunds.iter_mut().enumerate() {
            refund.refund_id = format!("r{number:02}").into();
            refund.place = EventOrder::new(refund.place.time_ms, None, &format!("f{number:02}"));
        }
        Buyer { orders, refunds, ..Buyer::default() }
    })
}

/// Adds an order at its place.
pub fn insert(buyer: &mut Buyer, order: &Bought) {
    let at = buyer.orders.partition_point(|known| known.place < order.place);
    buyer.orders.insert(at, order.clone());
}

/// The same customer, with all that is older than `day` folded away.
pub fn folded(buyer: &Buyer, day: i32, days: &SiteDays) -> Buyer {
    let mut buyer = buyer.clone();
    let cut_ms = days.midnight_ms(day);
    let orders =
        buyer.orders.iter().filter(|order| order.place.time_ms < cut_ms).map(|order| (order.place, Some(order), None));
    let refunds = buyer
        .refunds
        .iter()
        .filter(|refund| refund.place.time_ms < cut_ms)
        .map(|refund| (refund.place, None, Some(refund)));
    let mut old: Vec<_> = orders.chain(refunds).collect();
    old.sort_by_key(|(place, order, _)| (place.time_ms, order.is_none()));
    let mut past = buyer.past;
    for (place, order, refund) in old {
        if let Some(order) = order {
            super::fold_order(&mut past, order, days);
        }
        if let Some(refund) = refund {
            super::fold_refund(&mut past, refund, days);
        }
        past.until = past.until.max(Some(place));
    }
    buyer.past = past;
    buyer.orders.retain(|order| order.place.time_ms >= cut_ms);
    buyer.refunds.retain(|refund| refund.place.time_ms >= cut_ms);
    buyer
}
