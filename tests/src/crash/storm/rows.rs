//! Rows of records and of ClickHouse in one form, so that they can be compared value by value.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};

use millstream_schemas::{Field, FieldType, RecordSchema, Value, frame, visit};
use serde_json::{Map, Value as Json, json};

use crate::crash::tables::{NOT_COMPARED, TIMED};

/// Current rows by key, each as its columns' values in schema order.
pub type Current = BTreeMap<String, Vec<Json>>;

/// A record's columns. Floats are compared by their bits.
///
/// # Panics
/// Where `value` is no record of this schema.
pub fn of_record(schema: &'static RecordSchema, value: &[u8]) -> Vec<Json> {
    let (_, body) = frame::split(value).unwrap();
    let mut row = Vec::with_capacity(schema.fields.len());
    visit(schema, body, &mut |_, value| row.push(json_of(&value))).unwrap();
    row
}

fn json_of(value: &Value<'_>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::Long(value) | Value::Timestamp(value) => json!(value),
        Value::Double(value) => json!(value.to_bits()),
        Value::Decimal(value) => json!(value.mantissa()),
        Value::Id(id) => json!(id.to_string()),
        Value::Str(text) => json!(text),
        Value::Bytes(bytes) => json!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        Value::Strings(texts) => json!(texts),
        Value::Records(records) => {
            Json::Array(records.iter().map(|record| Json::Array(record.iter().map(json_of).collect())).collect())
        }
    }
}

/// The highest revision of each key, unless it is retracted; `values` are records of one topic, those of other schemas are left out.
pub fn current<'a>(schema: &'static RecordSchema, values: impl Iterator<Item = &'a [u8]>) -> Current {
    let at = |name: &str| schema.position(name).unwrap();
    let (revision_at, retracted_at) = (at("revision"), at("retracted"));
    let mut newest: BTreeMap<String, (i64, Vec<Json>)> = BTreeMap::new();
    for value in values {
        if value.is_empty() || frame::split(value).unwrap().0 != schema.id {
            continue;
        }
        let row = of_record(schema, value);
        let revision = row[revision_at].as_i64().unwrap();
        let key = key_of(schema, &row);
        if newest.get(&key).is_none_or(|(known, _)| *known < revision) {
            newest.insert(key, (revision, row));
        }
    }
    newest
        .into_iter()
        .filter(|(_, (_, row))| row[retracted_at] == json!(false))
        .map(|(key, (_, row))| (key, row))
        .collect()
}

/// A row's key, as text.
pub fn key_of(schema: &RecordSchema, row: &[Json]) -> String {
    let parts: Vec<String> = schema.key.iter().map(|name| row[schema.position(name).unwrap()].to_string()).collect();
    parts.join(" ")
}

/// A row as Convergence compares it: without what tells how it came about.
pub fn converging(schema: &RecordSchema, row: &[Json]) -> Map<String, Json> {
    let is_timed = schema.table.is_some_and(|table| TIMED.contains(&table));
    let fields = schema.fields.iter().zip(row);
    fields
        .filter(|(field, _)| !(NOT_COMPARED.contains(&field.name) || is_timed && field.name == "event_time"))
        .map(|(field, value)| (field.name.to_owned(), value.clone()))
        .collect()
}

/// Reads rows of a table or view of ClickHouse; `before` are expressions that stand before the schema's columns.
///
/// # Errors
/// What ClickHouse answers.
pub fn of_clickhouse(
    url: &str,
    database: &str,
    schema: &'static RecordSchema,
    table: &str,
    before: &[&str],
    mut each: impl FnMut(Vec<Json>),
) -> Result<(), String> {
    let mut columns: Vec<String> = before.iter().map(|&text| text.to_owned()).collect();
    columns.extend(schema.fields.iter().map(|field| expression(field, &format!("`{}`", field.name))));
    let sql = format!("SELECT {} FROM {table} FORMAT JSONCompactEachRow", columns.join(", "));
    let settings = "output_format_json_quote_64bit_integers=0&output_format_json_quote_decimals=0&wait_end_of_query=1";
    let response = ureq::post(format!("{url}/?database={database}&{settings}"))
        .config()
        .http_status_as_error(false)
        .build()
        .send(&sql)
        .map_err(|error| format!("{table}: {error}"))?;
    let status = response.status();
    let mut lines = BufReader::new(response.into_body().into_reader()).lines();
    if !status.is_success() {
        let said: Vec<String> = lines.map_while(Result::ok).collect();
        return Err(format!("{table}: {status}: {}", said.join("\n")));
    }
    lines.try_for_each(|line| {
        let line = line.map_err(|error| error.to_string())?;
        each(serde_json::from_str(&line).map_err(|error| format!("{table}: {error}: {line}"))?);
        Ok(())
    })
}

/// What makes a column the same as [`json_of`] makes of its record's field.
fn expression(field: &Field, column: &str) -> String {
    match field.ty {
        FieldType::Timestamp => format!("toUnixTimestamp64Milli({column})"),
        FieldType::Double => format!("reinterpretAsUInt64({column})"),
        FieldType::Decimal => format!("toInt64({column} * 1000000)"),
        FieldType::Bytes => format!("lower(hex({column}))"),
        FieldType::Records(nested) => {
            let parts: Vec<String> = nested
                .fields
                .iter()
                .map(|part| expression(part, &format!("tupleElement(part, '{}')", part.name)))
                .collect();
            // A tuple without names comes as an array.
            format!("arrayMap(part -> tuple({}), {column})", parts.join(", "))
        }
        _ => column.to_owned(),
    }
}
