//! How long touches are kept: exactly as long as an order can come, or one that they led to can be refunded.

use proptest::prelude::*;

use super::*;
use crate::attribution::{credits_of, emit_order_changes};
use crate::core::limits::{BUYER_RETENTION_MS, SLACK_MS, TOUCHES_BYTES_PER_SOURCE};
use crate::testing::context;

#[test]
fn a_touch_serves_for_lookback_and_horizon() {
    let rules = rules();
    let mut touches = Touches::default();
    touches.add(&touch(1, 1_000, "email"));
    let due_ms = 1_000 + 90 * DAY_MS + DAY_MS + SLACK_MS;
    assert_eq!(touches.due_ms(&rules, 0, &[]), Some(due_ms));
    // An order keeps it; when that goes, it may go.
    assert_eq!(touches.due_ms(&rules, due_ms + 1, &[2_000]), Some(2_000 + BUYER_RETENTION_MS));
    assert_eq!(touches.due_ms(&rules, 2_001 + BUYER_RETENTION_MS, &[2_000]), None);
    touches.free(&rules, due_ms, &[]);
    assert!(!touches.is_empty());
    touches.free(&rules, due_ms + 1, &[]);
    assert!(touches.is_empty());
    assert_eq!(touches.due_ms(&rules, 0, &[]), None);
}

#[test]
fn a_refund_after_a_year_divides_as_the_order_was_divided() {
    let (rules, ordered_at_ms) = (rules(), 95 * DAY_MS);
    let mut touches = Touches::default();
    for (id, day) in [(1, 1), (2, 10), (3, 40), (4, 95), (5, 120)] {
        touches.add(&touch(id, day * DAY_MS, "email"));
    }
    let (mut out, mut buyer) = (Recorder::default(), Buyer::default());
    let changed = tell(&mut buyer, &fact("o", ordered_at_ms, 1_000, 0));
    let all = |touches: &Touches| Ledger::of([], touches);
    emit_order_changes(&changed, &buyer, &all(&touches), &OWNER, &rules, &context(1, 0, 0, "o"), &mut out);
    let before = view(&out);
    touches.free(&rules, ordered_at_ms + 380 * DAY_MS, &[ordered_at_ms]);
    let kept: Vec<_> = touches.iter().map(|touch| touch.id.0).collect();
    assert_eq!(kept, [2, 3, 4], "those that led to the order");
    let changed = tell(&mut buyer, &fact("o", ordered_at_ms, 1_000, 1_000));
    emit_order_changes(&changed, &buyer, &all(&touches), &OWNER, &rules, &context(2, 0, 0, "r"), &mut out);
    let after = view(&out);
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (key, row) in &before {
        // Refunded whole, each credit is nothing.
        assert_eq!(after[key], (row.0, row.1, row.2.clone(), row.3, row.3, 0));
    }
    touches.free(&rules, ordered_at_ms + 400 * DAY_MS, &[]);
    assert!(touches.is_empty());
}

proptest! {
    #[test]
    fn freeing_changes_no_path_of_an_order_kept(
        days in prop::collection::vec(0i64..400, 1..40),
        orders in prop::collection::vec(0i64..400, 0..5),
        watermark_day in 0i64..600,
    ) {
        let rules = rules();
        let mut touches = Touches::default();
        for (id, day) in (1..).zip(&days) {
            touches.add(&touch(id, day * DAY_MS, "email"));
        }
        let mut buyer = Buyer::default();
        let ids: Vec<String> = (0..orders.len()).map(|n| format!("o{n}")).collect();
        for (id, day) in ids.iter().zip(&orders) {
            tell(&mut buyer, &fact(id, day * DAY_MS + HOUR_MS, 100, 0));
        }
        let ordered_at: Vec<i64> = buyer.orders.iter().map(|order| order.place.time_ms).collect();
        let before = expected(&Ledger::of([], &touches), &buyer, &rules);
        let all = touches.iter().count();
        touches.free(&rules, watermark_day * DAY_MS, &ordered_at);
        prop_assert_eq!(before, expected(&Ledger::of([], &touches), &buyer, &rules));
        // What is kept is needed: by an order that is there, or that may come.
        for touch in touches.iter() {
            let may_come = touch.at_ms + rules.lookback_ms + rules.horizon_ms + SLACK_MS >= watermark_day * DAY_MS;
            let led = ordered_at.iter().any(|at| (0..=rules.lookback_ms).contains(&(at - touch.at_ms)));
            prop_assert!(may_come || led);
        }
        prop_assert!(touches.iter().count() <= all);
    }
}

#[test]
fn the_oldest_make_room_and_the_credits_still_add_up() {
    let mut touches = Touches::default();
    for n in 0..1_000 {
        touches.add(&touch(n + 1, n as i64 * HOUR_MS, "email"));
        assert!(touches.as_bytes().len() <= TOUCHES_BYTES_PER_SOURCE);
    }
    assert!(touches.is_full());
    assert_eq!(touches.iter().last().unwrap().id.0, 1_000);
    let order = order("o", 400 * HOUR_MS, 100);
    let ledger = Ledger::of([], &touches);
    let credits = credits_of(&ledger, [&order], &rules());
    assert_eq!(credits.iter().map(|credit| credit.gross_minor).sum::<i64>(), 6 * 100);
}
