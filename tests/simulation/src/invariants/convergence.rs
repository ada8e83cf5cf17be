//! Convergence: the current views are those of an undisturbed run of the same input.

use std::collections::{BTreeMap, BTreeSet};

use millstream_schemas::{Event, HandOver, RECORDS, SourceMoved, frame};

use super::{Checked, undisturbed, violation};
use crate::views::{Row, View, comparable, current_views};
use crate::watch::Watch;
use crate::world::World;

const INVARIANT: &str = "Convergence";

/// Rows of a difference that are shown.
const SHOWN: usize = 2;

pub(super) fn check(world: &World) -> Checked {
    let watch = world.watch.lock();
    let wrong = |why: String| violation(INVARIANT, why);
    let found = current_views(|topic| watch.topic(topic).map(|(_, record)| record.clone()).collect()).map_err(wrong)?;
    let mut reference = undisturbed::run(&world.plan, &watch);
    let expected = current_views(|topic| reference.remove(topic).unwrap_or_default()).map_err(wrong)?;
    let settled =
        found.get("sessions").map(|sessions| settled_before_a_move(sessions, &watch, world.plan.horizon_ms()));
    let settled = settled.unwrap_or_default();
    for table in RECORDS.iter().filter_map(|schema| schema.table) {
        let nothing = View::new();
        let view = |views: &BTreeMap<&'static str, View>| {
            let view = views.get(table).unwrap_or(&nothing);
            match table {
                "events_rejected" => by_content(view),
                "events" => comparable(view, &["event_time"]),
                "sessions" | "scores_propensity" | "scores_engagement" => {
                    let mut rows = comparable(view, &[]);
                    for row in settled.iter().filter_map(|key| Some((key, rows.remove(key)?))).collect::<Vec<_>>() {
                        let (key, mut row) = row;
                        row.remove("person");
                        row.remove("user_id");
                        rows.insert(key.clone(), row);
                    }
                    rows
                }
                _ => comparable(view, &[]),
            }
        };
        let (found, expected) = (view(&found), view(&expected));
        if found != expected {
            return Err(violation(INVARIANT, describe(table, &found, &expected)));
        }
    }
    let rows = |table: &str| found.get(table).map_or(0, |view| view.len() as u64);
    let hand_overs = watch
        .topic(Event::TOPIC)
        .filter(|(_, record)| frame::split(&record.value).is_ok_and(|(id, _)| id == HandOver::ID))
        .count() as u64;
    world.strikes(|tally| {
        tally.sessions = rows("sessions");
        tally.orders = rows("orders");
        tally.hand_overs = hand_overs;
    });
    Ok(())
}

/// Keys of sessions that may have been folded when their source went over to another person: whom those name depends on when the
/// watermark came by, and is not compared (see `docs/operators/profiles.md`).
fn settled_before_a_move(sessions: &View, watch: &Watch, horizon_ms: i64) -> BTreeSet<Vec<String>> {
    let mut moved_ms: BTreeMap<String, i64> = BTreeMap::new();
    for (_, record) in watch.topic(Event::TOPIC) {
        if let Ok((SourceMoved::ID, body)) = frame::split(&record.value)
            && let Ok(moved) = SourceMoved::decode(body)
        {
            let last_ms = moved_ms.entry(format!("{:?}", millstream_schemas::Value::Id(moved.source))).or_default();
            *last_ms = record.timestamp_ms.max(*last_ms);
        }
    }
    let time_ms = |row: &Row, column: &str| -> Option<i64> {
        row.get(column)?.strip_prefix("Timestamp(")?.strip_suffix(')')?.parse().ok()
    };
    let settled = sessions.iter().filter(|(_, row)| {
        let moved_ms = row.get("source").and_then(|source| moved_ms.get(source));
        let ended_ms = time_ms(row, "ended_at");
        moved_ms.zip(ended_ms).is_some_and(|(moved_ms, ended_ms)| *moved_ms >= ended_ms + horizon_ms)
    });
    settled.map(|(key, _)| key.clone()).collect()
}

/// Dead letters are addressed by their place in the input, which differs: compared is what is in them, copies counted.
fn by_content(view: &View) -> View {
    let mut counts: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for row in view.values() {
        let content = ["site", "stage", "reason", "field", "event_id", "payload", "event_time"];
        let key = content.iter().map(|name| row.get(name).cloned().unwrap_or_default()).collect();
        *counts.entry(key).or_default() += 1;
    }
    counts.into_iter().map(|(key, count)| (key, Row::from([("copies", count.to_string())]))).collect()
}

fn describe(table: &str, found: &View, expected: &View) -> String {
    let keys: BTreeSet<&Vec<String>> = found.keys().chain(expected.keys()).collect();
    let differing: Vec<&Vec<String>> = keys.into_iter().filter(|key| found.get(*key) != expected.get(*key)).collect();
    let mut text = format!(
        "{table}: {} rows where an undisturbed run has {}, {} keys differ",
        found.len(),
        expected.len(),
        differing.len()
    );
    for key in differing.iter().take(SHOWN) {
        text.push_str(&format!("\n  {}", key.join(", ")));
        match (found.get(*key), expected.get(*key)) {
            (Some(found), Some(expected)) => {
                for (column, value) in found.iter().filter(|(column, value)| expected.get(*column) != Some(value)) {
                    let other = expected.get(column).map_or("nothing", String::as_str);
                    text.push_str(&format!("\n    {column}: {value}, undisturbed {other}"));
                }
            }
            (Some(_), None) => text.push_str(" should not be there"),
            _ => text.push_str(" is missing"),
        }
    }
    text
}
