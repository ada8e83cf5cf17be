//! Calls, letters and visits to a branch: by user, by the order they name, or by both.

use millstream_schemas::{Id, OrderFact};

use super::*;
use crate::attribution::{emit_order_changes, emit_touch_changes, offline_touch_id};
use crate::core::EventKind;
use crate::testing::{Told, context};

fn told_by_order<'a>(order_id: &'a str, event_id: &'a str, at_ms: i64) -> OrderFact<'a> {
    OrderFact {
        kind: "touch",
        event_id,
        channel: Some("call_centre"),
        campaign: Some("hotline"),
        ..fact(order_id, at_ms, 0, 0)
    }
}

fn channels(out: &Recorder, order_id: &str) -> Vec<(i32, String)> {
    let rows = view(out).into_iter().filter(|(key, _)| key.starts_with(&format!("{order_id}/linear/")));
    let mut rows: Vec<_> = rows.map(|(_, row)| (row.0, row.2)).collect();
    rows.sort();
    rows
}

#[test]
fn a_touch_that_names_an_order_is_a_touch_of_that_order_alone() {
    let (mut out, mut buyer, mut named) = (Recorder::default(), Buyer::default(), Touches::default());
    let mut sessions = Touches::default();
    sessions.add(&touch(1, 1, "email"));
    let no_sessions = crate::sessions::SourceSessions::default();
    let all = |named: &Touches| Ledger::of([(&no_sessions, &sessions)], named);
    for (offset, order_id) in [(1, "a"), (2, "b")] {
        let changed = tell(&mut buyer, &fact(order_id, 10, 100, 0));
        let cx = context(offset, 0, 10, order_id);
        emit_order_changes(&changed, &buyer, &all(&named), &OWNER, &rules(), &cx, &mut out);
    }
    let told = told_by_order("b", "call", 5);
    let before = all(&named);
    named.tell(&told);
    let cx = context(3, 0, 5, "call");
    emit_touch_changes(&before, &all(&named), &buyer.orders, &OWNER, &rules(), &cx, &mut out);
    assert_eq!(channels(&out, "a"), [(1, "email".to_owned())]);
    assert_eq!(channels(&out, "b"), [(1, "email".to_owned()), (2, "call_centre".to_owned())]);
    let row = out.current("attribution");
    let key = format!("b/last/{}", offline_touch_id("shop", "call"));
    let row: Attribution<'_> = decode(&row[&key]);
    assert_eq!((row.touch_kind, row.utm_campaign, row.touched_at), ("offline", Some("hotline"), 5));
    // The order went to somebody else, and the touch with it.
    let before = all(&named);
    named.tell(&OrderFact { kind: "touch_gone", ..told });
    assert!(named.is_empty());
    let cx = context(4, 0, 5, "login");
    emit_touch_changes(&before, &all(&named), &buyer.orders, &OWNER, &rules(), &cx, &mut out);
    assert_eq!(channels(&out, "b"), [(1, "email".to_owned())]);
}

#[test]
fn a_touch_by_user_and_by_order_is_one() {
    let told = Told {
        id: "call".into(),
        kind: "offline_touch",
        time_ms: 5,
        consent: 3,
        channel: "call_centre",
        campaign: None,
        ..Told::default()
    };
    let event = told.event();
    let (mut by_user, mut by_order) = (Touches::default(), Touches::default());
    by_user.add(&Touch::of_event(&event, EventKind::OfflineTouch).unwrap());
    by_order.tell(&told_by_order("o", "call", 5));
    let no_sessions = crate::sessions::SourceSessions::default();
    let ledger = Ledger::of([(&no_sessions, &by_user)], &by_order);
    let path_of = |order_id: &str| -> Vec<Id> {
        let order = order(order_id, 10, 1);
        ledger.touches().path(&order, &rules()).iter().map(|touch| touch.id).collect()
    };
    assert_eq!(path_of("o"), [offline_touch_id("shop", "call")]);
    assert_eq!(path_of("other"), [offline_touch_id("shop", "call")]);
}
