//! Topics, tables and an undisturbed run, compared row by row.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millstream_schemas::RecordSchema;
use serde_json::Value as Json;

use super::Check;
use super::recorded::{Recorded, schema_of};
use super::replay::Undisturbed;
use super::rows::{Current, converging, current, of_clickhouse, of_record};
use crate::crash::tables::tables;

/// The name of the comparison of histories.
pub const HISTORIES: &str = "history tables = committed topics";

/// The values of a topic's records.
fn values<'a>(recorded: &'a Recorded, topic: &'a str) -> impl Iterator<Item = &'a [u8]> {
    recorded.topic(topic).map(|(_, record)| record.value.as_slice())
}

/// The records of a table's topic that are its rows.
fn rows<'a>(recorded: &'a Recorded, schema: &'static RecordSchema) -> impl Iterator<Item = ((u32, u64), &'a [u8])> {
    recorded
        .topic(schema.topic)
        .filter(|(_, record)| schema_of(&record.value) == Some(schema.id))
        .map(|(partition, record)| ((partition, record.offset), record.value.as_slice()))
}

/// Waits until every table has as many rows as its topic has records; what is still behind after `patience`.
pub fn wait_for_tables(url: &str, database: &str, recorded: &Recorded, patience: Duration) -> Vec<String> {
    let started = Instant::now();
    loop {
        let mut behind = Vec::new();
        for (table, schema) in tables() {
            let wanted = rows(recorded, schema).count();
            let got = count(url, database, table);
            if got != Ok(wanted) {
                behind.push(format!("{table}: {got:?} rows, {wanted} records"));
            }
        }
        if behind.is_empty() || started.elapsed() > patience {
            return behind;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn count(url: &str, database: &str, table: &str) -> Result<usize, String> {
    let sql = format!("SELECT count() FROM {table} FORMAT TabSeparated");
    let mut answer = ureq::post(format!("{url}/?database={database}")).send(&sql).map_err(|error| error.to_string())?;
    let text = answer.body_mut().read_to_string().map_err(|error| error.to_string())?;
    text.trim().parse().map_err(|_| text)
}

/// Current rows of the topics against those of a run that nobody disturbed, as Convergence compares them.
pub fn views_of_topics(recorded: &Recorded, undisturbed: &Undisturbed) -> Check {
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for (table, schema) in tables() {
        let got = current(schema, values(recorded, schema.topic));
        let empty = Vec::new();
        let wanted = undisturbed.get(schema.topic).unwrap_or(&empty);
        let wanted = current(schema, wanted.iter().map(Vec::as_slice));
        compared += wanted.len();
        let convergent = |rows: &Current| -> BTreeMap<String, String> {
            rows.iter().map(|(key, row)| (key.clone(), Json::Object(converging(schema, row)).to_string())).collect()
        };
        differences(table, &convergent(&wanted), &convergent(&got), &mut wrong);
    }
    Check::new(
        "current rows of topics = undisturbed run",
        &wrong,
        format!("{compared} rows of {} views", tables().count()),
    )
}

/// Current rows of the warehouse against those of the topics: the same rows, every column of them.
pub fn views_of_tables(url: &str, database: &str, recorded: &Recorded) -> Check {
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for (table, schema) in tables() {
        let view = format!("{table}_current");
        let text = |row: &Vec<Json>| Json::Array(row.clone()).to_string();
        let wanted = current(schema, values(recorded, schema.topic));
        let wanted: BTreeMap<String, String> = wanted.iter().map(|(key, row)| (key.clone(), text(row))).collect();
        compared += wanted.len();
        let mut got = BTreeMap::new();
        let read = of_clickhouse(url, database, schema, &view, &[], |row| {
            let key = super::rows::key_of(schema, &row);
            if got.insert(key.clone(), text(&row)).is_some() {
                wrong.push(format!("{view}: {key} is there twice"));
            }
        });
        if let Err(why) = read {
            wrong.push(why);
        }
        differences(&view, &wanted, &got, &mut wrong);
    }
    Check::new("current rows of the warehouse = of topics", &wrong, format!("{compared} rows, every column"))
}

/// History tables against the committed topics: each record of a table's topic is one row, with its place, and no other.
pub fn histories(url: &str, database: &str, recorded: &Recorded) -> Check {
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for (table, schema) in tables() {
        let mut wanted: BTreeMap<(u32, u64), &[u8]> = rows(recorded, schema).collect();
        compared += wanted.len();
        let read = of_clickhouse(url, database, schema, table, &["log_partition", "log_offset"], |mut row| {
            let columns = row.split_off(2);
            let number = |value: &Json| value.as_u64().unwrap_or(u64::MAX);
            let (partition, offset) = (u32::try_from(number(&row[0])).unwrap_or(u32::MAX), number(&row[1]));
            match wanted.remove(&(partition, offset)) {
                None => wrong.push(format!("{table}: a row of {partition}:{offset} too many")),
                Some(value) => {
                    let record = of_record(schema, value);
                    if record != columns {
                        let at = record.iter().zip(&columns).position(|(one, other)| one != other);
                        let name = at.and_then(|at| schema.fields.get(at)).map_or("?", |field| field.name);
                        wrong.push(format!("{table}: {partition}:{offset} has another {name}"));
                    }
                }
            }
        });
        if let Err(why) = read {
            wrong.push(why);
        }
        wrong.extend(wanted.keys().map(|(partition, offset)| format!("{table}: no row of {partition}:{offset}")));
    }
    Check::new(HISTORIES, &wrong, format!("{compared} rows, every column"))
}

fn differences(view: &str, wanted: &BTreeMap<String, String>, got: &BTreeMap<String, String>, wrong: &mut Vec<String>) {
    for (key, row) in wanted {
        match got.get(key) {
            None => wrong.push(format!("{view}: {key} is missing: {row}")),
            Some(other) if other != row => {
                wrong.push(format!("{view}: {key} is\n        {other}\n        instead of\n        {row}"))
            }
            Some(_) => {}
        }
    }
    for (key, row) in got.iter().filter(|(key, _)| !wanted.contains_key(*key)) {
        wrong.push(format!("{view}: {key} should not be there: {row}"));
    }
}
