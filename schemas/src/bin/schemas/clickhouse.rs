//! ClickHouse tables and views.
//!
//! Of each record with a table: `<table>`, every revision with its log position; `<table>_latest`, the newest revision of each key,
//! fed from the former by `<table>_feed`; `<table>_current`, the view analysts read. A record whose keys have one revision needs
//! no `_latest`.

use crate::definition::{Definition, FieldDefinition, Type};
use std::fmt::Write;

/// A table or view.
pub struct Object {
    pub name: String,
    pub statement: String,
}

/// Inserted blocks whose tokens a table remembers. A batch is inserted again within minutes at most, and batches are few.
const DEDUPLICATION_WINDOW: u32 = 10_000;

/// The record's tables and views, in the order in which they must be created.
pub fn objects(definition: &Definition, all: &[Definition]) -> Vec<Object> {
    let Some(table) = &definition.table else { return Vec::new() };
    let key = definition.key.join(", ");
    let mut objects = vec![history(definition, table, all)];
    let names: Vec<String> = definition.fields.iter().map(|field| quoted(&field.name)).collect();
    let columns = names.join(", ");
    let mut source = table.clone();
    if !definition.append_only {
        source = format!("{table}_latest FINAL");
        let mut latest = format!("-- The newest revision of each key. Read it through {table}_current.\n");
        let _ = writeln!(latest, "CREATE TABLE IF NOT EXISTS {table}_latest\n(");
        latest.push_str(&columns_of(definition, all).join(",\n"));
        let _ = writeln!(latest, "\n)\nENGINE = ReplacingMergeTree(revision, retracted)\nORDER BY ({key})");
        let _ = writeln!(latest, "SETTINGS non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}");
        objects.push(Object { name: format!("{table}_latest"), statement: latest });
        let mut feed = format!("-- Copies every revision into {table}_latest.\n");
        let _ = writeln!(feed, "CREATE MATERIALIZED VIEW IF NOT EXISTS {table}_feed TO {table}_latest AS");
        let _ = writeln!(feed, "SELECT {columns}\nFROM {table}");
        objects.push(Object { name: format!("{table}_feed"), statement: feed });
    }
    let mut current =
        format!("-- {}\n-- One row a key: its newest revision, unless that one is retracted.\n", definition.doc);
    let _ = writeln!(current, "CREATE OR REPLACE VIEW {table}_current AS");
    let _ = writeln!(current, "SELECT {columns}\nFROM {source}\nWHERE retracted = 0");
    objects.push(Object { name: format!("{table}_current"), statement: current });
    objects
}

fn history(definition: &Definition, table: &str, all: &[Definition]) -> Object {
    let mut columns = columns_of(definition, all);
    columns.push("    `log_partition` UInt32 COMMENT 'Partition of the topic the row came from.'".into());
    columns.push("    `log_offset` UInt64 COMMENT 'Offset in it.'".into());
    columns.push("    INDEX by_log_position (log_partition, log_offset) TYPE minmax GRANULARITY 4".into());
    // Rows that are never revised may be sorted by time, which is what analysts ask by; revisions stand together by key.
    let order = if definition.append_only {
        let mut order = vec!["site", "event_time"];
        order.extend(definition.key.iter().map(String::as_str).filter(|name| *name != "site"));
        order.join(", ")
    } else {
        format!("{}, revision", definition.key.join(", "))
    };
    let what = if definition.append_only { "" } else { " Every revision." };
    let mut statement = format!("-- {}{what}\n", definition.doc);
    let _ = writeln!(statement, "CREATE TABLE IF NOT EXISTS {table}\n(\n{}\n)", columns.join(",\n"));
    let _ = writeln!(statement, "ENGINE = MergeTree\nORDER BY ({order})");
    let _ = writeln!(statement, "SETTINGS non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}");
    Object { name: table.into(), statement }
}

fn columns_of(definition: &Definition, all: &[Definition]) -> Vec<String> {
    definition.fields.iter().map(|field| column(field, all)).collect()
}

fn column(field: &FieldDefinition, all: &[Definition]) -> String {
    let mut comment = field.doc.clone();
    if let Some(unit) = &field.unit {
        let _ = write!(comment, " In {unit}.");
    }
    if field.pii {
        comment.push_str(" Personal data.");
    }
    format!(
        "    {} {} COMMENT '{}'",
        quoted(&field.name),
        ty(field, all),
        comment.replace('\\', "\\\\").replace('\'', "\\'")
    )
}

fn ty(field: &FieldDefinition, all: &[Definition]) -> String {
    if field.name == "revision" {
        // What ReplacingMergeTree wants as a version. Revisions are never negative.
        return "UInt64".into();
    }
    let plain = match field.ty {
        Type::Symbol if field.optional => return "LowCardinality(Nullable(String))".into(),
        Type::Symbol => return "LowCardinality(String)".into(),
        Type::Array => {
            let nested = all.iter().find(|other| Some(&other.name) == field.items.as_ref());
            let parts: Vec<String> = nested
                .map_or(&[][..], |nested| &nested.fields)
                .iter()
                .map(|part| {
                    let ty = if part.ty == Type::Symbol { "String".into() } else { ty(part, all) };
                    format!("{} {ty}", part.name)
                })
                .collect();
            return format!("Array(Tuple({}))", parts.join(", "));
        }
        Type::Strings => return "Array(String)".into(),
        Type::String | Type::Json | Type::Id | Type::Bytes => "String",
        Type::Bool => "Bool",
        Type::Int => "Int32",
        Type::Long => "Int64",
        Type::Double => "Float64",
        Type::Timestamp => "DateTime64(3, 'UTC')",
        Type::Decimal => "Decimal(18, 6)",
    };
    if field.optional { format!("Nullable({plain})") } else { plain.into() }
}

/// Quoted, for a column may be called what SQL calls something else.
fn quoted(name: &str) -> String {
    format!("`{name}`")
}
