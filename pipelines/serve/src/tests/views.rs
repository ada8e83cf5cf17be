//! What the views hold after which records.

use millstream_schemas::{Attribution, Id, Order, Profile, Propensity, SchemaIds, Session};
use serde_json::Value;

use super::{ALL_PURPOSES, NOW_MS, frame, live, live_with, order, score, session, take, visitor};
use crate::ServeConfig;
use crate::live::Taken;

#[test]
fn a_visitor_is_session_score_and_profile_of_the_device() {
    let live = live();
    assert_eq!(visitor(&live, "d-1")["session"], Value::Null);
    // The score first: records of different topics come in any order.
    take(&live, &frame(&score(3)));
    take(&live, &frame(&session(3)));
    let seen = visitor(&live, "d-1");
    assert_eq!(seen["session"]["events"], 3);
    assert_eq!(seen["score"]["p_purchase"], 0.25);
    assert_eq!(seen["score"]["reasons"], serde_json::json!(["funnel_depth"]));
    assert_eq!(seen["profile"], Value::Null);
    assert_eq!(visitor(&live, "d-2")["session"], Value::Null);
}

#[test]
fn the_higher_revision_stands_and_a_retraction_ends_it() {
    let live = live();
    for revision in [5, 2, 5] {
        take(&live, &frame(&session(revision)));
        take(&live, &frame(&score(revision)));
    }
    assert_eq!(visitor(&live, "d-1")["session"]["events"], 5);
    take(&live, &frame(&Propensity { retracted: true, ..score(6) }));
    take(&live, &frame(&score(5)));
    assert_eq!(visitor(&live, "d-1")["score"], Value::Null, "an older score came back");
    take(&live, &frame(&Session { retracted: true, ..session(7) }));
    assert_eq!(visitor(&live, "d-1")["session"], Value::Null);
    assert_eq!(live.figures("shop")["sessions_open"], 0);
}

#[test]
fn of_several_sessions_the_latest_is_told() {
    let live = live();
    take(&live, &frame(&session(9)));
    for n in 0..40 {
        let older = Session { session_id: Id(100 + n), ended_at: NOW_MS - 100_000 + n as i64, ..session(1) };
        take(&live, &frame(&older));
    }
    assert_eq!(visitor(&live, "d-1")["session"]["events"], 9);
    assert_eq!(live.figures("shop")["sessions_open"], 41);
}

#[test]
fn what_consent_does_not_allow_is_not_told() {
    let live = live();
    take(&live, &frame(&Session { consent: 3, ..session(1) }));
    take(&live, &frame(&score(1)));
    let seen = visitor(&live, "d-1");
    assert_eq!((&seen["session"], &seen["score"]), (&Value::Null, &Value::Null));
    assert_eq!(live.figures("shop")["sessions_open"], 1, "figures are about nobody");
}

#[test]
fn totals_follow_revisions_whatever_their_order_and_number() {
    let live = live();
    let records = [order("A", 1, 1_000), order("A", 4, 900), order("B", 2, 500)];
    for round in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
        for at in round {
            take(&live, &frame(&records[at]));
        }
        let figures = live.figures("shop");
        assert_eq!(figures["conversions"], 2);
        assert_eq!(figures["revenue_minor"], serde_json::json!({ "EUR": 1_400 }));
    }
    take(&live, &frame(&Order { retracted: true, ..order("B", 3, 500) }));
    assert_eq!(live.figures("shop")["conversions"], 1);
}

#[test]
fn views_are_bounded_and_totals_are_of_what_is_kept() {
    let live = live_with(ServeConfig { max_rows: 10, ..ServeConfig::default() });
    for n in 0..100u128 {
        let device = format!("d-{n}");
        take(&live, &frame(&Session { session_id: Id(n), device_id: Some(&device), ..session(1) }));
        let id = format!("order {n}");
        take(&live, &frame(&Order { order_id: &id, ..order("", 1, 100) }));
    }
    let figures = live.figures("shop");
    assert_eq!((&figures["sessions_open"], &figures["conversions"]), (&Value::from(10), &Value::from(10)));
    assert_eq!(visitor(&live, "d-0")["session"], Value::Null);
    assert_ne!(visitor(&live, "d-99")["session"], Value::Null);
}

fn credit(touch: u128, revision: i64, channel: &'static str, credited_minor: i64) -> Attribution<'static> {
    Attribution {
        site: "shop",
        order_id: "A",
        model: "linear",
        touch_id: Id(touch),
        revision,
        channel,
        currency: "EUR",
        credited_minor,
        ..Attribution::default()
    }
}

#[test]
fn credits_that_move_are_counted_where_they_are_now() {
    let live = live();
    take(&live, &frame(&credit(1, 1, "email", 1_000)));
    assert_eq!(live.figures("shop")["credited_minor"], serde_json::json!({ "EUR": { "linear": { "email": 1_000 } } }));
    // A late touch: the order is shared now, and a third touch that had been there has ceased.
    take(&live, &frame(&Attribution { retracted: true, ..credit(3, 2, "direct", 0) }));
    take(&live, &frame(&credit(1, 2, "email", 500)));
    take(&live, &frame(&credit(2, 2, "organic", 500)));
    take(&live, &frame(&credit(3, 1, "direct", 333)));
    let shared = serde_json::json!({ "EUR": { "linear": { "email": 500, "organic": 500 } } });
    assert_eq!(live.figures("shop")["credited_minor"], shared);
}

#[test]
fn the_profile_is_that_of_the_sessions_person() {
    let live = live();
    let profile =
        Profile { site: "shop", person: Id(70), revision: 1, consent: ALL_PURPOSES, orders: 2, ..Profile::default() };
    take(&live, &frame(&profile));
    assert_eq!(visitor(&live, "d-1")["profile"], Value::Null);
    take(&live, &frame(&session(1)));
    assert_eq!(visitor(&live, "d-1")["profile"]["orders"], 2);
    take(&live, &frame(&Session { person: Id(71), ..session(2) }));
    assert_eq!(visitor(&live, "d-1")["profile"], Value::Null, "the session is somebody else's now");
}

#[test]
fn foreign_damaged_and_oversized_records_are_told_apart() {
    let live = live_with(ServeConfig { max_row_bytes: 400, ..ServeConfig::default() });
    let ids = SchemaIds::identity();
    let whole = frame(&session(1));
    assert_eq!(live.take(&whole, &ids), Taken::Applied);
    assert_eq!(live.take(b"no frame", &ids), Taken::Unknown);
    assert_eq!(live.take(&[0, 0, 0, 200, 200, 1], &ids), Taken::Unknown);
    assert_eq!(live.take(&whole[..whole.len() - 3], &ids), Taken::Unreadable);
    assert_eq!(live.take(&frame(&Session { site: "closed", ..session(1) }), &ids), Taken::OtherSite);
    let long = "x".repeat(500);
    assert_eq!(live.take(&frame(&Session { entry_page: Some(&long), ..session(2) }), &ids), Taken::TooLong);
    assert_eq!(visitor(&live, "d-1")["session"]["events"], 1);
}
