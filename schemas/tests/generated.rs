//! What is generated is what lies in the tree, and a difference is found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use millstream_schemas::input::{parse_batch, parse_event};
use millstream_schemas::{FieldType, RECORDS};
use std::path::{Path, PathBuf};
use std::process::Command;

fn schemas(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_schemas")).args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn nothing_has_drifted() {
    let (code, errors) = schemas(&["--check"]);
    assert_eq!(code, Some(0), "{errors}");
}

/// A copy of the definitions in a folder of its own.
fn copy(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&root);
    for folder in ["records", "catalogue"] {
        let to = root.join("schemas").join(folder);
        std::fs::create_dir_all(&to).unwrap();
        for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
            let from = entry.unwrap().path();
            std::fs::copy(&from, to.join(from.file_name().unwrap())).unwrap();
        }
    }
    root.join("schemas")
}

#[test]
fn check_finds_what_is_missing_changed_and_left_over() {
    let folder = copy("drift");
    let arguments = |check: &'static str| [check, folder.to_str().unwrap()].map(str::to_string);
    let run =
        |check| schemas(&arguments(check).iter().map(String::as_str).filter(|a| !a.is_empty()).collect::<Vec<_>>());

    let (code, errors) = run("--check");
    assert_eq!(code, Some(1));
    assert!(errors.contains("events.md: missing"), "{errors}");
    assert!(!folder.join("avro").exists(), "a check writes nothing");

    assert_eq!(run("").0, Some(0));
    assert_eq!(run("--check"), (Some(0), String::new()));

    std::fs::write(folder.join("avro/tick.avsc"), "{}\n").unwrap();
    std::fs::write(folder.join("clickhouse/gone.sql"), "").unwrap();
    let (code, errors) = run("--check");
    assert_eq!(code, Some(1));
    assert!(errors.contains("tick.avsc:1: differs") && errors.contains("gone.sql: left over"), "{errors}");
    assert_eq!((run("").0, run("--check").0), (Some(0), Some(0)));
    assert!(!folder.join("clickhouse/gone.sql").exists());
}

#[test]
fn a_wrong_definition_is_named() {
    let folder = copy("wrong");
    let path = folder.join("records/tick.toml");
    let good = std::fs::read_to_string(&path).unwrap();
    let changes = [
        ("id = 2", "id = 3", "have the same id 3"),
        ("type = \"timestamp\"", "type = \"moment\"", "moment"),
        ("name = \"time\"", "name = \"origin\"", "origin is there twice"),
        ("topic = \"events.collected\"", "", "has a topic unless"),
        ("id = 2\n", "id = 102\nearlier = [{ id = 2, version = \"0.1.0\" }]\n", "takes a new id"),
        ("name = \"origin\", ", "name = \"origin\", since = \"0.2.0\", optional = true, ", "come last"),
        ("name = \"time\", ", "name = \"time\", since = \"0.2.0\", ", "must be optional"),
    ];
    for (from, to, want) in changes {
        assert!(good.contains(from), "{from}");
        let mut wrong = good.replace(from, to);
        if wrong.contains("since = \"0.2.0\"") {
            wrong = wrong.replace("id = 2\n", "id = 102\nearlier = [{ id = 2, version = \"0.1.0\" }]\n");
        }
        std::fs::write(&path, wrong).unwrap();
        let (code, errors) = schemas(&["--check", folder.to_str().unwrap()]);
        assert_eq!(code, Some(2), "{to}");
        assert!(errors.contains(want), "{to}: {errors}");
    }
}

#[test]
fn a_field_of_a_later_version_is_generated() {
    let folder = copy("grown");
    let path = folder.join("records/tick.toml");
    let grown = std::fs::read_to_string(&path).unwrap().trim_end().trim_end_matches(']').to_string()
        + "  { name = \"zone\", type = \"symbol\", optional = true, since = \"0.2.0\", doc = \"Where.\" },\n]\n";
    std::fs::write(&path, &grown).unwrap();
    let (code, errors) = schemas(&[folder.to_str().unwrap()]);
    assert_eq!(code, Some(2));
    assert!(errors.contains("a record that grows takes a new id"), "{errors}");

    let grown = grown.replace("id = 2\n", "id = 102\nearlier = [{ id = 2, version = \"0.1.0\" }]\n");
    std::fs::write(&path, grown).unwrap();
    assert_eq!(schemas(&[folder.to_str().unwrap()]).0, Some(0));
    let rust = std::fs::read_to_string(folder.join("src/generated/tick.rs")).unwrap();
    assert!(rust.contains("if !r.is_at_end() { self.zone = r.at(2).optional(Reader::str)?; }"), "{rust}");
    assert!(rust.contains("earlier: &[(2, include_str!(\"../../released/0.1.0/tick.avsc\"))]"), "{rust}");
    let page = std::fs::read_to_string(folder.join("../docs/reference/records.md")).unwrap();
    assert!(page.contains("| `zone` | symbol, *null* |  |  | 0.2.0 | Where. |"));
}

#[test]
fn the_example_of_the_reference_page_is_accepted() {
    let catalogue = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogue/event-v1.toml");
    let catalogue: toml::Table = std::fs::read_to_string(catalogue).unwrap().parse().unwrap();
    let batch = parse_batch(catalogue["example"].as_str().unwrap().as_bytes(), 100).unwrap();
    assert!(batch.sent_at.is_some() && batch.events.len() == 2);
    for event in batch.events {
        parse_event(event).unwrap();
    }
}

#[test]
fn the_json_schema_names_every_field_type_and_requirement() {
    let json = include_str!("../json/event-v1.json");
    let schema: serde_json::Value = serde_json::from_str(json).unwrap();
    let event = &schema["$defs"]["event"];
    let types: Vec<&str> =
        event["properties"]["type"]["enum"].as_array().unwrap().iter().filter_map(|ty| ty.as_str()).collect();
    let names: Vec<&str> = millstream_schemas::input::EventType::ALL.iter().map(|ty| ty.as_str()).collect();
    assert_eq!(types, names);
    let line = &schema["$defs"]["line"];
    assert_eq!(line["required"], serde_json::json!(["product_id"]));
    assert_eq!(event["required"], serde_json::json!(["id", "type"]));
}

#[test]
fn tables_have_what_reports_rely_on() {
    for record in RECORDS {
        let Some(table) = record.table else {
            assert!(record.clickhouse_ddl.is_empty());
            continue;
        };
        for name in ["site", "revision", "retracted", "event_time"] {
            assert!(record.position(name).is_some(), "{table}.{name}");
        }
        let currency = record.position("currency").is_some();
        let money = record.fields.iter().any(|field| field.unit == Some("minor units"));
        assert!(!money || currency, "{table} has amounts without a currency");
        assert!(
            record.fields.iter().all(|field| !field.name.ends_with("_minor") || field.unit == Some("minor units")),
            "{table}"
        );
        assert!(
            record.fields.iter().all(|field| !matches!(field.ty, FieldType::Id) || !field.pii),
            "{table}: a hash is no name"
        );
    }
}
