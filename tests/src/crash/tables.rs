//! Whole tables, as SQL gives them, in a form that is the same for every warehouse.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufReader;
use std::process::Stdio;

use millstream_schemas::{FieldType, RECORDS, RecordSchema};
use serde_json::Value;

use crate::binary::Installation;

/// Columns that tell how an answer came about, not what it is; Convergence does not compare them.
pub const NOT_COMPARED: [&str; 7] =
    ["revision", "idempotency_key", "watermark", "source_event", "scored_at", "partition", "offset"];
/// Tables whose rows a timer may write: `event_time` is then the time of the record that let the timer run.
pub const TIMED: [&str; 6] = ["sessions", "scores_propensity", "scores_engagement", "scores_churn", "clv", "profiles"];
/// Rows of a difference that are shown.
const SHOWN: usize = 3;

/// The rows of the current view of every table, each as text, sorted.
pub type Views = BTreeMap<&'static str, Vec<String>>;

/// Every record with a table, and the table.
pub fn tables() -> impl Iterator<Item = (&'static str, &'static RecordSchema)> {
    RECORDS.iter().filter_map(|schema| Some((schema.table?, *schema)))
}

/// How a warehouse prints a column of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bytes {
    /// The embedded one: hexadecimal.
    Hex,
    /// ClickHouse: as they are.
    Plain,
}

/// All current views of an installation.
pub fn current_views(installation: &Installation, bytes: Bytes) -> Views {
    tables().map(|(table, schema)| (table, view(installation, table, schema, bytes))).collect()
}

/// Fails with the rows that differ.
///
/// # Panics
/// Where a table has other rows.
pub fn assert_same(expected: &Views, got: &Views, after: &str) {
    for (table, expected) in expected {
        let got = &got[table];
        if expected == got {
            continue;
        }
        let (left, right): (BTreeSet<_>, BTreeSet<_>) = (expected.iter().collect(), got.iter().collect());
        let missing: Vec<_> = left.difference(&right).collect();
        let extra: Vec<_> = right.difference(&left).collect();
        panic!(
            "{after}: {table}_current has {} rows instead of {}; {} are missing, {} should not be there.\nmissing: {:#?}\nextra: {:#?}",
            got.len(),
            expected.len(),
            missing.len(),
            extra.len(),
            &missing[..missing.len().min(SHOWN)],
            &extra[..extra.len().min(SHOWN)],
        );
    }
}

/// In every table's history: no record of the log twice, no revision of a key twice.
///
/// # Panics
/// Where something is there twice.
pub fn assert_nothing_twice(installation: &Installation, after: &str) {
    for (table, schema) in tables() {
        let keys = schema.key.join(", ");
        for columns in ["log_partition, log_offset".to_owned(), format!("{keys}, revision")] {
            let sql = format!(
                "select count(*) as n from (select {columns} from {table} group by {columns} having count(*) > 1) as twice"
            );
            assert_eq!(installation.query(&sql), ["0"], "{after}: {table} has rows twice by {columns}");
        }
    }
}

fn view(installation: &Installation, table: &str, schema: &RecordSchema, bytes: Bytes) -> Vec<String> {
    let compared: Vec<_> = schema
        .fields
        .iter()
        .filter(|field| !NOT_COMPARED.contains(&field.name))
        .filter(|field| field.name != "event_time" || !TIMED.contains(&table))
        .collect();
    let names: Vec<&str> = compared.iter().map(|field| field.name).collect();
    let sql = format!("select {} from {table}_current", names.join(", "));
    let nested = compared.iter().any(|field| matches!(field.ty, FieldType::Strings | FieldType::Records(_)));
    let mut rows = if nested { from_json(installation, &sql) } else { from_csv(installation, &sql) };
    if bytes == Bytes::Hex {
        for field in compared.iter().filter(|field| matches!(field.ty, FieldType::Bytes)) {
            let position = names.iter().position(|name| *name == field.name).unwrap();
            for row in &mut rows {
                row[position] = text_of_hex(&row[position]);
            }
        }
    }
    // One warehouse writes 1.0, the other 1.
    for field in compared.iter().filter(|field| matches!(field.ty, FieldType::Double)) {
        let position = names.iter().position(|name| *name == field.name).unwrap();
        for value in rows.iter_mut().filter_map(|row| row.get_mut(position)) {
            if let Ok(number) = value.parse::<f64>() {
                *value = number.to_string();
            }
        }
    }
    let mut rows: Vec<String> = rows
        .into_iter()
        .map(|row| {
            let given = names.iter().zip(row).filter(|(_, value)| !value.is_empty());
            given.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
        })
        .collect();
    rows.sort_unstable();
    rows
}

/// Flat tables: many rows, read as they come.
fn from_csv(installation: &Installation, sql: &str) -> Vec<Vec<String>> {
    let mut child = installation
        .command()
        .args(["query", sql, "--format", "csv"])
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut reader = csv::Reader::from_reader(BufReader::new(child.stdout.take().unwrap()));
    let rows = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
    assert!(child.wait().unwrap().success(), "{sql}");
    rows
}

/// Tables with arrays, which only JSON says alike in every warehouse.
fn from_json(installation: &Installation, sql: &str) -> Vec<Vec<String>> {
    let output = installation.command().args(["query", sql, "--format", "json"]).stderr(Stdio::inherit()).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{sql}");
    let rows: Vec<serde_json::Map<String, Value>> = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    };
    rows.into_iter().map(|row| row.into_iter().map(|(_, value)| text(value)).collect()).collect()
}

fn text_of_hex(hex: &str) -> String {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap();
    let bytes: Vec<u8> =
        hex.as_bytes().chunks(2).map(|pair| u8::try_from(digit(pair[0]) * 16 + digit(pair[1])).unwrap()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
