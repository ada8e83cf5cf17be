//! Against a naive oracle: sort all events of the source, cut, count.

use std::collections::BTreeMap;

use millstream_schemas::{Engagement, Event, Id, Session as Record};
use proptest::prelude::*;

use super::*;
use crate::core::limits::SESSIONS_PER_SOURCE;
use crate::core::{EventKind, EventOrder};
use crate::propensity::History;
use crate::testing::{MINUTE_MS, PERSON, Recorder, SOURCE, Told, Witness, context, decode, events};

const GAP: Rules =
    Rules { gap_ms: 30 * MINUTE_MS, horizon_ms: 24 * 60 * MINUTE_MS, by_tracker: false, by_campaign: false };
const TRACKER: Rules = Rules { by_tracker: true, ..GAP };
const CAMPAIGN: Rules = Rules { by_campaign: true, ..GAP };

/// Visits that follow so closely upon another that a tracker's id often begins anew.
const TRACKER_ANEW: Rules = Rules { horizon_ms: 20 * MINUTE_MS, gap_ms: 10 * MINUTE_MS, ..TRACKER };

const NO_HISTORY: History =
    History { sessions: 0, orders: 0, last_session_ms: None, last_order_ms: None, left_cart: false };
const OWNER: Owner<'static> =
    Owner { site: "shop", source: SOURCE, person: PERSON, user_id: None, hand_overs: 0, history: Some(&NO_HISTORY) };

/// Feeds events in the order given, emits after each, and at the end lets the watermark pass to `until_ms`.
fn run<'a>(told: impl IntoIterator<Item = &'a Told>, rules: &Rules, until_ms: i64) -> (Recorder, SourceSessions) {
    let (mut sessions, mut out) = (SourceSessions::default(), Recorder::default());
    let mut offset = 0;
    for told in told {
        offset += 1;
        let event = told.event();
        let kind = EventKind::of(event.event_type);
        if reaches(&event, kind) {
            let order = EventOrder::new(event.event_time, event.sequence, event.event_id);
            let mut changes = Changes::default();
            let seen = Seen { event: &event, order, kind, source: SOURCE };
            on_event(&mut sessions, &seen, rules, i64::MIN, &mut changes);
            let cx = context(offset, i64::MIN, event.event_time, event.event_id);
            emit_changes(&sessions, &changes, &OWNER, rules, &Witness, &cx, &mut out);
        }
    }
    on_timer(&mut sessions, rules, until_ms, |session, is_latest| {
        if is_latest {
            let cx = context(offset + 1, until_ms, rules.closes_at_ms(session), "");
            emit_closed(session, &OWNER, rules, &cx, &mut out);
        }
    });
    (out, sessions)
}

/// Leaves out what differs between interleavings.
fn comparable(body: &[u8]) -> Vec<u8> {
    let row: Record<'_> = decode(body);
    let row = Record { revision: 0, idempotency_key: Id(0), event_time: 0, source_event: "", watermark: 0, ..row };
    let mut out = Vec::new();
    row.encode(&mut out);
    out
}

fn view(out: &Recorder) -> BTreeMap<String, Vec<u8>> {
    out.current("sessions").into_iter().map(|(key, body)| (key, comparable(&body))).collect()
}

/// All sessions by the definition.
fn oracle(told: &[Told], rules: &Rules, until_ms: i64) -> BTreeMap<String, Vec<u8>> {
    let mut sorted: Vec<Event<'_>> = told.iter().map(Told::event).collect();
    sorted.retain(|event| event.event_type != "refund" && event.consent & 2 != 0);
    sorted.sort_by_key(|event| (event.event_time, event.sequence, event.event_id));
    let mut by_tracker: BTreeMap<&str, Vec<Event<'_>>> = BTreeMap::new();
    let mut by_gap: Vec<Vec<Event<'_>>> = Vec::new();
    for event in sorted {
        if let Some(tracker) = event.tracker_session_id.filter(|_| rules.by_tracker) {
            by_tracker.entry(tracker).or_default().push(event);
            continue;
        }
        let begins = by_gap
            .last()
            .and_then(|session| session.last())
            .is_none_or(|last| event.event_time - last.event_time > rules.gap_ms);
        let session_campaign = by_gap.last().and_then(|session| session.first()).and_then(|first| first.utm_source);
        let changes = rules.by_campaign && event.utm_source.is_some() && event.utm_source != session_campaign;
        if begins || changes {
            by_gap.push(Vec::new());
        }
        by_gap.last_mut().unwrap().push(event);
    }
    let last_gap = by_gap.len();
    let mut rows = BTreeMap::new();
    for (at, session) in by_gap.iter().enumerate() {
        let id = Id::of(&[&SOURCE.0.to_be_bytes(), session[0].event_id.as_bytes()]);
        rows.insert(id.to_string(), oracle_row(id, session, at + 1 < last_gap, rules, until_ms));
    }
    for (tracker, session) in &by_tracker {
        let id = tracker_session_id(SOURCE, tracker);
        // Under the key stands the last visit.
        let anew =
            session.windows(2).rposition(|two| two[1].event_time - two[0].event_time > rules.gap_ms + rules.horizon_ms);
        let visit = &session[anew.map_or(0, |at| at + 1)..];
        rows.insert(id.to_string(), oracle_row(id, visit, false, rules, until_ms));
    }
    rows
}

fn oracle_row(id: Id, session: &[Event<'_>], superseded: bool, rules: &Rules, until_ms: i64) -> Vec<u8> {
    let count = |kind: &str| session.iter().filter(|event| event.event_type == kind).count() as i64;
    let (first, last) = (&session[0], &session[session.len() - 1]);
    let with_page = || session.iter().filter(|event| event.page_url.is_some());
    let channel = session.iter().find(|event| event.channel != "none");
    let views: Vec<_> = session.iter().filter(|event| event.event_type == "page_view").collect();
    let mut view_ids: Vec<_> = views.iter().filter_map(|event| event.page_view_id).collect();
    view_ids.sort();
    view_ids.dedup();
    let mut orders: BTreeMap<&str, (usize, &Event<'_>)> = BTreeMap::new();
    for (at, event) in session.iter().enumerate().filter(|(_, event)| event.event_type == "purchase") {
        orders.insert(event.order_id.unwrap(), (at, event));
    }
    let currency = orders.values().min_by_key(|(at, _)| at).and_then(|(_, event)| event.currency);
    let depth = |kind: &str| match kind {
        "page_view" => 1,
        "list_view" | "search" => 2,
        "product_view" => 3,
        "add_to_cart" | "remove_from_cart" => 4,
        "checkout_step" => 5,
        "purchase" => 6,
        _ => 0,
    };
    let closed = superseded || until_ms > last.event_time + rules.gap_ms;
    let row = Record {
        site: "shop",
        session_id: id,
        consent: session.iter().fold(15, |all, event| all & event.consent),
        is_bot: session.iter().any(|event| event.is_bot),
        source: SOURCE,
        person: PERSON,
        device_id: first.device_id,
        tracker_session_id: session.iter().find_map(|event| event.tracker_session_id),
        started_at: first.event_time,
        ended_at: last.event_time,
        state: if closed { "closed" } else { "open" },
        closed_at: closed.then_some(last.event_time + rules.gap_ms),
        events: session.len() as i64,
        page_views: view_ids.len() as i64 + views.iter().filter(|event| event.page_view_id.is_none()).count() as i64,
        product_views: count("product_view"),
        searches: count("search"),
        cart_adds: count("add_to_cart"),
        cart_removes: count("remove_from_cart"),
        checkout_steps: count("checkout_step"),
        purchases: orders.len() as i64,
        revenue_minor: orders
            .values()
            .filter(|(_, event)| event.currency == currency)
            .map(|(_, event)| event.amount_minor.unwrap())
            .sum(),
        currency,
        engaged_ms: session.iter().filter_map(|event| event.engaged_ms).sum(),
        duration_ms: last.event_time - first.event_time,
        scroll_depth_pct: session.iter().filter_map(|event| event.scroll_depth_pct).max().unwrap_or(0).clamp(0, 100),
        funnel_depth: session.iter().map(|event| depth(event.event_type)).max().unwrap(),
        entry_page: with_page().next().and_then(|event| event.page_url),
        exit_page: with_page().next_back().and_then(|event| event.page_url),
        entry_referrer: with_page().next().and_then(|event| event.page_referrer),
        channel: channel.map_or("none", |event| event.channel),
        utm_source: channel.and_then(|event| event.utm_source),
        os: first.os,
        ..Record::default()
    };
    let mut out = Vec::new();
    row.encode(&mut out);
    out
}

fn shuffled(told: &[Told], keys: &[u32]) -> Vec<Told> {
    let mut order: Vec<usize> = (0..told.len()).collect();
    order.sort_by_key(|&at| keys.get(at).copied().unwrap_or(0));
    order.into_iter().map(|at| told[at].clone()).collect()
}

fn check(told: &[Told], keys: &[u32], rules: &Rules, until_ms: i64) -> Result<(), TestCaseError> {
    let (out, sessions) = run(&shuffled(told, keys), rules, until_ms);
    out.assert_one_output_per_key_and_revision();
    prop_assert_eq!(view(&out), oracle(told, rules, until_ms));
    prop_assert!(sessions.list.is_sorted_by_key(|session| session.first.order));
    // Scores: one for each session that an event with the purpose has reached, none for a key that has ceased.
    let (straight, _) = run(&shuffled(told, &[]), rules, until_ms);
    let scored = |out: &Recorder| -> Vec<(String, u64, i64)> {
        let rows = out.current("propensity");
        rows.iter()
            .map(|(key, body)| {
                let row: millstream_schemas::Propensity<'_> = decode(body);
                (key.clone(), row.p_purchase.to_bits(), row.events_seen)
            })
            .collect()
    };
    prop_assert_eq!(scored(&out), scored(&straight));
    // Engagement: one row for each closed session, saying what the session says.
    let engaged: Vec<_> = out
        .current("engagement")
        .into_iter()
        .map(|(key, body)| {
            let row: Engagement<'_> = decode(&body);
            (key, row.engaged_ms, row.page_views, row.scored_at)
        })
        .collect();
    let closed: Vec<_> = view(&out)
        .into_iter()
        .filter_map(|(key, body)| {
            let row: Record<'_> = decode(&body);
            row.closed_at.map(|closed_at| (key, row.engaged_ms, row.page_views, closed_at))
        })
        .collect();
    prop_assert_eq!(engaged, closed);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn gap_sessions_are_the_oracles_in_any_order(
        told in events(40), keys in prop::collection::vec(any::<u32>(), 40), until in 0..80i64,
    ) {
        check(&told, &keys, &GAP, until * 5 * MINUTE_MS)?;
    }

    #[test]
    fn tracker_sessions_are_the_oracles_in_any_order(
        told in events(40), keys in prop::collection::vec(any::<u32>(), 40), until in 0..80i64,
    ) {
        check(&told, &keys, &TRACKER, until * 5 * MINUTE_MS)?;
    }

    #[test]
    fn tracker_sessions_that_begin_anew_are_the_oracles_in_any_order(
        told in events(40), keys in prop::collection::vec(any::<u32>(), 40), until in 0..80i64,
    ) {
        // All with the purpose: an event without it does not say that an earlier visit's score is not this one's.
        let told: Vec<Told> = told.into_iter().map(|told| Told { consent: 7, ..told }).collect();
        check(&told, &keys, &TRACKER_ANEW, until * 5 * MINUTE_MS)?;
    }

    #[test]
    fn campaign_sessions_are_the_oracles_in_any_order(
        told in events(40), keys in prop::collection::vec(any::<u32>(), 40), until in 0..80i64,
    ) {
        check(&told, &keys, &CAMPAIGN, until * 5 * MINUTE_MS)?;
    }

    /// What was seen in two places, then joined, is what was seen in one.
    #[test]
    fn combined_halves_are_the_whole(
        told in events(30), side in prop::collection::vec(any::<bool>(), 30), mode in 0..4usize,
    ) {
        let rules = [GAP, TRACKER, CAMPAIGN, TRACKER_ANEW][mode];
        let half = |wanted: bool| {
            let chosen = told.iter().zip(&side).filter(move |(_, side)| **side == wanted).map(|(told, _)| told);
            run(chosen, &rules, i64::MIN).1
        };
        let mut changes = Changes::default();
        let mut joined = half(false);
        combine(&mut joined, half(true), &rules, i64::MIN, &mut changes);
        let (_, whole) = run(told.iter(), &rules, i64::MIN);
        prop_assert_eq!(joined.list, whole.list);
    }
}

fn page_view(id: &str, minute: i64) -> Told {
    Told {
        id: id.to_owned(),
        kind: "page_view",
        time_ms: minute * MINUTE_MS,
        consent: 15,
        channel: "direct",
        page: Some(format!("https://shop/{id}")),
        ..Told::default()
    }
}

fn ids_of(out: &Recorder, retracted: bool) -> Vec<&str> {
    let rows = out.rows.iter().filter(|row| row.topic == "sessions" && row.retracted == retracted);
    rows.map(|row| row.key.as_str()).collect()
}

#[test]
fn exactly_the_gap_later_is_the_same_session_and_more_is_not() {
    let (out, _) = run(&[page_view("a", 0), page_view("b", 30)], &GAP, i64::MIN);
    assert_eq!(view(&out).len(), 1);
    let mut late = page_view("b", 30);
    late.time_ms += 1;
    let (out, _) = run(&[page_view("a", 0), late], &GAP, i64::MIN);
    assert_eq!(view(&out).len(), 2);
}

#[test]
fn a_session_revised_three_times_counts_once() {
    let (out, _) = run(&[page_view("a", 0), page_view("b", 1), page_view("c", 2)], &GAP, i64::MIN);
    assert_eq!(ids_of(&out, false).len(), 3);
    assert_eq!(view(&out).len(), 1);
}

#[test]
fn a_bridge_retracts_the_later_key() {
    let (out, _) = run(&[page_view("a", 0), page_view("c", 50), page_view("b", 25)], &GAP, i64::MIN);
    let c = Id::of(&[&SOURCE.0.to_be_bytes(), b"c"]).to_string();
    assert_eq!(ids_of(&out, true), [c.as_str()]);
    assert_eq!(view(&out).len(), 1);
    assert_eq!(out.current("propensity").len(), 1);
}

#[test]
fn a_new_first_event_changes_the_key() {
    let (out, _) = run(&[page_view("b", 10), page_view("a", 0)], &GAP, i64::MIN);
    let [a, b] = [b"a", b"b"].map(|id| Id::of(&[&SOURCE.0.to_be_bytes(), id]).to_string());
    assert_eq!(ids_of(&out, true), [b.as_str()]);
    assert_eq!(view(&out).into_keys().collect::<Vec<_>>(), [a]);
}

#[test]
fn closes_on_the_record_and_a_late_event_reopens_nothing_superseded() {
    let (out, _) = run(&[page_view("a", 0), page_view("c", 60), page_view("b", 5)], &GAP, i64::MIN);
    let states: Vec<_> = out
        .rows
        .iter()
        .filter(|row| row.topic == "sessions")
        .map(|row| {
            let row: Record<'_> = decode(&row.body);
            (row.started_at / MINUTE_MS, row.state.to_owned(), row.closed_at.map(|at| at / MINUTE_MS))
        })
        .collect();
    let closed = |at| ("closed".to_owned(), Some(at));
    let expected = [(0, ("open".to_owned(), None)), (60, ("open".to_owned(), None)), (0, closed(30)), (0, closed(35))];
    assert_eq!(states, expected.map(|(start, (state, at))| (start, state, at)));
}

#[test]
fn the_watermark_closes_strictly_after_the_due_time() {
    let (_, sessions) = run(&[page_view("a", 0)], &GAP, 30 * MINUTE_MS);
    assert!(!sessions.list[0].closed);
    let (_, sessions) = run(&[page_view("a", 0)], &GAP, 30 * MINUTE_MS + 1);
    assert!(sessions.list[0].closed);
}

#[test]
fn what_no_event_can_reach_is_freed() {
    let (_, mut sessions) = run(&[page_view("a", 0)], &CAMPAIGN, i64::MIN);
    let frees_at_ms = CAMPAIGN.frees_at_ms(&sessions.list[0]);
    on_timer(&mut sessions, &CAMPAIGN, frees_at_ms, |_, _| {});
    assert_eq!(sessions.list.len(), 1);
    assert_eq!(next_due_ms(&sessions, &CAMPAIGN), Some(frees_at_ms));
    on_timer(&mut sessions, &CAMPAIGN, frees_at_ms + 1, |_, _| {});
    assert_eq!(sessions, SourceSessions::default());
}

#[test]
fn single_events_stay_bounded() {
    let told: Vec<Told> = (0..2_000).map(|n| page_view(&format!("{n}"), n / 10)).collect();
    let (_, sessions) = run(&told, &CAMPAIGN, i64::MIN);
    assert_eq!(sessions.single.as_ref().map(|single| single.len()), Some(crate::core::limits::EVENTS_PER_SOURCE));
    assert_eq!((sessions.list.len(), sessions.list[0].events), (1, 2_000));
    assert!(sessions.list.len() <= SESSIONS_PER_SOURCE);
}

#[test]
fn a_trackers_id_that_returns_after_gap_and_horizon_begins_anew_freed_or_not() {
    let visit = |id, minute| Told { tracker: Some("t".to_owned()), ..page_view(id, minute) };
    let limit = 30 + 24 * 60;
    let spans = |told: &[Told]| {
        let (out, _) = run(told, &TRACKER, i64::MIN);
        let rows = out.current("sessions");
        rows.values().map(|body| decode::<Record<'_>>(body).duration_ms / MINUTE_MS).collect::<Vec<_>>()
    };
    assert_eq!(spans(&[visit("a", 0), visit("b", limit)]), [limit]);
    assert_eq!(spans(&[visit("a", 0), visit("b", limit + 1)]), [0]);
    // What may still be joined is still there, however late it comes within the horizon.
    let (_, sessions) = run(&[visit("a", 0)], &TRACKER, i64::MIN);
    assert!(TRACKER.frees_at_ms(&sessions.list[0]) > (limit + 24 * 60) * MINUTE_MS);
}

/// The keys that have a current score.
fn scored(out: &Recorder) -> Vec<String> {
    out.current("propensity").into_keys().collect()
}

#[test]
fn a_trackers_session_that_begins_anew_does_not_inherit_a_score() {
    let visit = |id, kind, minute| Told { kind, tracker: Some("t".to_owned()), ..page_view(id, minute) };
    let later = 30 + 24 * 60 + 1;
    let (old, ping, page) =
        (visit("a", "page_view", 0), visit("b", "page_ping", later), visit("c", "page_view", later + 1));
    assert_eq!(scored(&run([&old], &TRACKER, i64::MIN).0).len(), 1);
    let (out, _) = run([&old, &ping], &TRACKER, i64::MIN);
    assert_eq!(scored(&out), Vec::<String>::new(), "retracted in the same record");
    out.assert_one_output_per_key_and_revision();
    assert_eq!(scored(&run([&old, &ping, &page], &TRACKER, i64::MIN).0).len(), 1, "scored anew");
    // Freed in the meantime: the same.
    let (mut out, mut sessions) = run([&old], &TRACKER, i64::MIN);
    let freed_ms = TRACKER.frees_at_ms(&sessions.list[0]) + 1;
    on_timer(&mut sessions, &TRACKER, freed_ms, |_, _| {});
    assert!(sessions.is_empty());
    let (event, mut changes) = (ping.event(), Changes::default());
    let order = EventOrder::new(event.event_time, event.sequence, event.event_id);
    let seen = Seen { event: &event, order, kind: EventKind::PagePing, source: SOURCE };
    on_event(&mut sessions, &seen, &TRACKER, i64::MIN, &mut changes);
    let cx = context(9, i64::MIN, event.event_time, event.event_id);
    emit_changes(&sessions, &changes, &OWNER, &TRACKER, &Witness, &cx, &mut out);
    assert_eq!(scored(&out), Vec::<String>::new());
    // An event that no score may use says nothing about scores.
    let refused = Told { consent: 3, ..ping };
    assert_eq!(scored(&run([&old, &refused], &TRACKER, i64::MIN).0).len(), 1);
}
