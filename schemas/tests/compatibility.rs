//! Every released version stays readable, and what was promised stays.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use apache_avro::Schema;
use apache_avro::schema_compatibility::SchemaCompatibility;
use apache_avro::types::Value as Oracle;
use millstream_schemas::input::{EventType, Reason};
use millstream_schemas::{Field, FieldType, RecordSchema, Value, avro_by_id, by_id, by_name, visit};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
struct Contracts {
    event_types: Vec<String>,
    reasons: Vec<String>,
    records: BTreeMap<String, Contract>,
}

#[derive(Deserialize, Debug)]
struct Contract {
    id: u32,
    topic: String,
    table: String,
    key: Vec<String>,
}

/// The folder of each released version, and what it promised.
fn released() -> Vec<(PathBuf, Contracts)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("released");
    let versions = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| {
        let contracts = toml::from_str(&std::fs::read_to_string(path.join("contracts.toml")).unwrap()).unwrap();
        (path, contracts)
    };
    let released: Vec<_> = versions.map(read).collect();
    assert!(released.iter().any(|(path, _)| path.ends_with("0.1.0")), "the first version is there");
    released
}

fn released_text(version: &Path, record: &str) -> String {
    std::fs::read_to_string(version.join(format!("{record}.avsc"))).unwrap()
}

#[test]
fn ids_topics_tables_keys_and_names_never_change() {
    for (version, contracts) in released() {
        for (name, contract) in &contracts.records {
            let now = by_name(name).unwrap_or_else(|| panic!("{}: {name} is gone", version.display()));
            if !now.topic.is_empty() {
                assert_eq!(by_id(contract.id).map(|record| record.name), Some(name.as_str()));
                assert_eq!(
                    avro_by_id(contract.id),
                    Some(released_text(&version, name).as_str()),
                    "{name}: what id {} means",
                    contract.id
                );
            }
            assert_eq!(
                (now.topic, now.table.unwrap_or_default()),
                (contract.topic.as_str(), contract.table.as_str()),
                "{name}"
            );
            assert_eq!(now.key.to_vec(), contract.key, "{name}");
        }
        for name in &contracts.event_types {
            assert!(EventType::parse(name).is_some(), "event type {name} is gone");
        }
        for name in &contracts.reasons {
            assert!(Reason::parse(name).is_some(), "reason {name} is gone");
        }
    }
}

#[test]
fn an_avro_reader_with_todays_schema_reads_every_released_version() {
    for (version, contracts) in released() {
        for name in contracts.records.keys() {
            let todays = plain(by_name(name).unwrap().avro_json);
            let then = plain(&released_text(&version, name));
            SchemaCompatibility::can_read(&then, &todays)
                .unwrap_or_else(|error| panic!("{}: {name}: {error}", version.display()));
        }
    }
}

/// A schema without logical types: they play no part in Avro's resolution, and the library's check does not know decimals.
fn plain(text: &str) -> Schema {
    fn strip(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(map) if map.contains_key("logicalType") => *value = map["type"].clone(),
            serde_json::Value::Object(map) => map.values_mut().for_each(strip),
            serde_json::Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut schema = serde_json::from_str(text).unwrap();
    strip(&mut schema);
    Schema::parse(&schema).unwrap()
}

#[test]
fn fields_are_only_appended() {
    for (version, contracts) in released() {
        for name in contracts.records.keys() {
            let fields = |text: &str| -> Vec<(serde_json::Value, serde_json::Value)> {
                let schema: serde_json::Value = serde_json::from_str(text).unwrap();
                let fields = schema["fields"].as_array().unwrap().iter();
                fields.map(|field| (field["name"].clone(), without_docs(field["type"].clone()))).collect()
            };
            let (then, now) = (fields(&released_text(&version, name)), fields(by_name(name).unwrap().avro_json));
            assert!(now.starts_with(&then), "{}: {name}", version.display());
        }
    }
}

/// Documentation may be mended; it is no part of a type.
fn without_docs(mut value: serde_json::Value) -> serde_json::Value {
    match &mut value {
        serde_json::Value::Object(map) => {
            map.retain(|name, _| !matches!(name.as_str(), "doc" | "unit" | "pii"));
            map.values_mut().for_each(|value| *value = without_docs(value.take()));
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(|value| *value = without_docs(value.take())),
        _ => {}
    }
    value
}

#[test]
fn our_reader_reads_every_released_version() {
    for (version, contracts) in released() {
        for name in contracts.records.keys() {
            let then = Schema::parse_str(&released_text(&version, name)).unwrap();
            let Oracle::Record(values) = sample(&then) else { panic!("{name} is no record") };
            let body = apache_avro::to_avro_datum(&then, Oracle::Record(values.clone())).unwrap();
            let mut read = Vec::new();
            visit(by_name(name).unwrap(), &body, &mut |field, value| read.push((field.name, value))).unwrap();
            for (at, (field, value)) in values.iter().enumerate() {
                assert_eq!(read[at].0, field);
                assert!(agrees(value, &read[at].1), "{name}.{field}: {value:?} became {:?}", read[at].1);
            }
            let appended = &read[values.len()..];
            let empty = |value: &Value<'_>| match value {
                Value::Null => true,
                Value::Strings(items) => items.is_empty(),
                Value::Records(items) => items.is_empty(),
                _ => false,
            };
            assert!(appended.iter().all(|(_, value)| empty(value)), "{name}: {appended:?}");
        }
    }
}

/// A value that is neither empty nor zero, of any schema of ours.
fn sample(schema: &Schema) -> Oracle {
    match schema {
        Schema::Boolean => Oracle::Boolean(true),
        Schema::Int => Oracle::Int(-7),
        Schema::Long => Oracle::Long(1 << 40),
        Schema::Double => Oracle::Double(0.25),
        Schema::Bytes => Oracle::Bytes(vec![0, 255]),
        // Thirty-two hexadecimal digits, for an id is a string to Avro.
        Schema::String => Oracle::String("0123456789abcdef".repeat(2)),
        Schema::TimestampMillis => Oracle::TimestampMillis(1_795_279_043_123),
        Schema::Decimal(_) => Oracle::Decimal(vec![0x01, 0x00].into()),
        Schema::Union(union) => Oracle::Union(1, Box::new(sample(&union.variants()[1]))),
        Schema::Array(array) => Oracle::Array(vec![sample(&array.items)]),
        Schema::Record(record) => {
            Oracle::Record(record.fields.iter().map(|field| (field.name.clone(), sample(&field.schema))).collect())
        }
        other => panic!("{other:?} is not in use"),
    }
}

fn agrees(written: &Oracle, read: &Value<'_>) -> bool {
    match (written, read) {
        (Oracle::Union(1, written), read) => agrees(written, read),
        (Oracle::Boolean(a), Value::Bool(b)) => a == b,
        (Oracle::Int(a), Value::Int(b)) => a == b,
        (Oracle::Long(a), Value::Long(b)) | (Oracle::TimestampMillis(a), Value::Timestamp(b)) => a == b,
        (Oracle::Double(a), Value::Double(b)) => a == b,
        (Oracle::Bytes(a), Value::Bytes(b)) => a == b,
        (Oracle::String(a), Value::Str(b)) => a == b,
        (Oracle::String(a), Value::Id(b)) => *a == b.to_string(),
        (Oracle::Decimal(_), Value::Decimal(b)) => b.mantissa() == 256,
        (Oracle::Array(a), Value::Strings(b)) => {
            a.iter().zip(b).all(|(a, b)| agrees(a, &Value::Str(b))) && a.len() == b.len()
        }
        (Oracle::Array(a), Value::Records(b)) => {
            let one = |(a, b): (&Oracle, &Vec<Value<'_>>)| match a {
                Oracle::Record(a) => a.iter().zip(b).all(|((_, a), b)| agrees(a, b)),
                _ => false,
            };
            a.len() == b.len() && a.iter().zip(b).all(one)
        }
        _ => false,
    }
}

#[test]
fn a_field_appended_later_reads_as_not_given_from_older_records() {
    const fn field(name: &'static str, ty: FieldType, optional: bool, appended: bool) -> Field {
        Field { name, ty, optional, pii: false, unit: None, doc: "", since: "0.1.0", appended }
    }
    static GROWN: RecordSchema = RecordSchema {
        name: "grown",
        id: 1,
        topic: "t",
        table: None,
        key: &[],
        append_only: false,
        fields: &[
            field("a", FieldType::Long, false, false),
            field("b", FieldType::String, true, true),
            field("c", FieldType::Strings, false, true),
        ],
        doc: "",
        since: "0.1.0",
        earlier: &[],
        avro_json: "",
        clickhouse_ddl: &[],
    };
    let read = |body: &'static [u8]| {
        let mut values = Vec::new();
        visit(&GROWN, body, &mut |_, value| values.push(value)).map(|()| values)
    };
    assert_eq!(read(&[2]), Ok(vec![Value::Long(1), Value::Null, Value::Strings(vec![])]));
    assert_eq!(read(&[2, 2, 2, b'x']), Ok(vec![Value::Long(1), Value::Str("x"), Value::Strings(vec![])]));
    assert_eq!(read(&[2, 0, 2, 2, b'y', 0]), Ok(vec![Value::Long(1), Value::Null, Value::Strings(vec!["y"])]));
    assert!(read(&[]).is_err());
    assert!(read(&[2, 2]).is_err());
}
