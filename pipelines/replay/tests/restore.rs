//! A namespace restored from a table of accepted events: whole, in order, once, however often it was interrupted.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::ops::ControlFlow;

use millstream_replay::ReplayError;
use millstream_replay::restore::{Restorer, Table};
use millstream_schemas::{Collected, Control, Event, SchemaIds, Tick, frame};
use millstream_transports::memory::MemoryLog;
use millstream_transports::{Append, CommitOutcome, Retention, TopicSpec, Transport, Walk};
use serde_json::{Value, json};

const PARTITIONS: u32 = 3;
const NEW: &str = "restored.";
const NOW_MS: i64 = 1_800_000_000_000;
const FIRST_MS: i64 = 1_790_000_000_000;

/// Rows of `events`, and after how many questions it is down.
struct Rows {
    rows: Vec<(i64, Value)>,
    asked: Cell<usize>,
    down_after: usize,
}

impl Rows {
    fn new(received_at_ms: impl IntoIterator<Item = i64>) -> Self {
        let row = |(at, received_at_ms): (usize, i64)| {
            let time = jiff::Timestamp::from_millisecond(received_at_ms).unwrap().to_string();
            let row = json!({
                "site": "shop", "event_id": format!("e{at:05}"), "revision": at, "retracted": false, "event_type": "page_view",
                "event_time": time, "received_at": time, "time_quality": "as_sent", "consent": 15, "is_bot": false,
                "origin": "http", "device_id": format!("d{}", at % 17), "channel": "none", "device_class": "unknown",
                "os": "unknown", "browser": "unknown", "lines": [],
            });
            (received_at_ms, row)
        };
        let rows = received_at_ms.into_iter().enumerate().map(row).collect();
        Self { rows, asked: Cell::new(0), down_after: usize::MAX }
    }
}

impl Table for Rows {
    fn ask(&self, sql: &str) -> Result<Vec<u8>, String> {
        self.asked.set(self.asked.get() + 1);
        if self.asked.get() > self.down_after {
            return Err("the warehouse is down".to_owned());
        }
        let times: Vec<i64> = sql
            .split('\'')
            .filter_map(|text| text.parse::<jiff::Timestamp>().ok())
            .map(jiff::Timestamp::as_millisecond)
            .collect();
        let within =
            |at: i64| times.first().is_none_or(|&from| at >= from) && times.get(1).is_none_or(|&until| at < until);
        let found: Vec<&(i64, Value)> = self.rows.iter().filter(|(at, _)| within(*at)).collect();
        let time = |at: Option<&i64>| at.map(|at| jiff::Timestamp::from_millisecond(*at).unwrap().to_string());
        let answer = if sql.contains("count(*)") {
            json!([{"n": found.len()}])
        } else if sql.contains("min(") {
            let all = || found.iter().map(|(at, _)| at);
            json!([{"a": time(all().min()), "z": time(all().max())}])
        } else {
            let mut found = found;
            found.sort_by_key(|(at, row)| (*at, row["revision"].as_u64()));
            let number = |word: &str| sql.split(word).nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
            let (limit, offset) = (number(" limit ").unwrap(), number(" offset ").unwrap());
            found.into_iter().skip(offset).take(limit).map(|(_, row)| row.clone()).collect()
        };
        Ok(answer.to_string().into_bytes())
    }
}

fn log() -> MemoryLog {
    let log = MemoryLog::new();
    for namespace in ["", NEW] {
        let topics = [(Collected::TOPIC, PARTITIONS), ("events", PARTITIONS), (Control::TOPIC, 1), ("imports", 1)];
        let retention = Retention::Forever;
        let specs =
            topics.map(|(topic, partitions)| TopicSpec { name: format!("{namespace}{topic}"), partitions, retention });
        log.ensure_topics(&specs).unwrap();
    }
    log
}

fn restore(log: &MemoryLog, table: &Rows) -> Result<u64, Box<ReplayError>> {
    Ok(Restorer::new(log, &SchemaIds::identity(), "", NEW)?
        .restore(table, NOW_MS, &mut |_, _| ControlFlow::Continue(()))?)
}

fn append(log: &MemoryLog, topic: &str, value: &[u8]) {
    let mut transactions = log.transactions("test", vec![topic.to_owned()]).unwrap();
    transactions.send(Append { topic: 0, partition: 0, timestamp_ms: 1, key: b"", value }).unwrap();
    assert!(matches!(transactions.commit(), CommitOutcome::Committed));
}

/// What stands in the other namespace's input, by partition.
fn said(log: &MemoryLog) -> Vec<Vec<String>> {
    let said = |partition| {
        let mut said = Vec::new();
        let mut walk = Walk::open(log, &format!("{NEW}{}", Collected::TOPIC), partition).unwrap();
        walk.each(u64::MAX, |record| {
            let (id, body) = frame::split(record.value).unwrap();
            said.push(match id {
                Event::ID => Event::decode(body).unwrap().event_id.to_owned(),
                Tick::ID => format!("tick {}", Tick::decode(body).unwrap().time),
                Control::ID => format!("control {}", Control::decode(body).unwrap().number),
                other => panic!("schema id {other}"),
            });
            true
        })
        .unwrap();
        said
    };
    (0..PARTITIONS).map(said).collect()
}

/// When the last events were received: most of them.
const LAST_MS: i64 = FIRST_MS + 300 * 3_600_000;

/// Half of the rest within a second, as after an outage, half at one instant, as imports of days have them: pages must be cut finely there.
fn times() -> impl Iterator<Item = i64> {
    (0..12_000).map(|at| match at {
        0..300 => FIRST_MS + at * 3_600_000,
        300..6_000 => LAST_MS - at % 1_000,
        _ => LAST_MS,
    })
}

#[test]
fn every_event_comes_back_once_in_order_however_often_it_is_interrupted() {
    let whole = log();
    let control = Control { number: 4, kind: "site_config", site: "shop", effective_at: 0, body: "{}" };
    let mut value = Vec::new();
    control.encode_framed(Control::ID, &mut value);
    append(&whole, Control::TOPIC, &value);
    assert_eq!(restore(&whole, &Rows::new(times())).unwrap(), 12_000);
    let expected = said(&whole);
    let mut all: Vec<&String> = expected.iter().flatten().filter(|id| id.starts_with('e')).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 12_000);
    for partition in &expected {
        let ends = [partition[0].as_str(), &partition[1], &partition[partition.len() - 1]];
        assert_eq!(ends, ["control 4", &format!("tick {}", FIRST_MS - 1), &format!("tick {NOW_MS}")]);
        let on_the_way = format!("tick {}", LAST_MS);
        assert!(partition.contains(&on_the_way), "time passes with the events, in partitions without any, too");
    }

    let interrupted = log();
    append(&interrupted, Control::TOPIC, &value);
    let mut table = Rows::new(times());
    let mut down = 0;
    for down_after in 1.. {
        (table.down_after, table.asked) = (down_after * 7, Cell::new(0));
        match restore(&interrupted, &table) {
            Ok(_) => break,
            Err(error) => assert!(error.to_string().contains("the warehouse is down"), "{error}"),
        }
        down += 1;
    }
    assert!(down >= 3, "{down}");
    assert_eq!(said(&interrupted), expected);
}

#[test]
fn a_table_that_is_another_one_meanwhile_is_refused() {
    let (mut table, all) = (Rows::new(times()), Rows::new(times()));
    table.down_after = 25;
    let log = log();
    assert!(restore(&log, &table).is_err());
    let restored: usize = said(&log).iter().flatten().filter(|id| id.starts_with('e')).count();
    assert!((1..12_000).contains(&restored), "{restored}");
    for change in [
        |rows: &mut Vec<(i64, Value)>| drop(rows.remove(0)),
        |rows: &mut Vec<(i64, Value)>| rows.push(Rows::new([FIRST_MS + 5]).rows.remove(0)),
        |rows: &mut Vec<(i64, Value)>| rows.truncate(1),
    ] {
        let mut changed = Rows::new(times());
        change(&mut changed.rows);
        let refused = restore(&log, &changed).unwrap_err();
        assert!(refused.to_string().contains("no longer what was restored"), "{refused}");
    }
    assert_eq!(restore(&log, &all).unwrap(), 12_000);
}

#[test]
fn a_namespace_in_use_is_not_restored_into_and_an_empty_table_gives_nothing() {
    let log = log();
    assert_eq!(restore(&log, &Rows::new([])).unwrap(), 0);
    let mut value = Vec::new();
    Collected { site: "shop", origin: "http", payload: b"{}", ..Collected::default() }
        .encode_framed(Collected::ID, &mut value);
    append(&log, &format!("{NEW}{}", Collected::TOPIC), &value);
    let refused = *restore(&log, &Rows::new([1])).unwrap_err();
    assert!(matches!(refused, ReplayError::NotACopy { offset: 0, .. }), "{refused}");
}
