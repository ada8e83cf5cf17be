//! Current views, computed naively from topics: the highest revision of each key, unless it is retracted.

use std::collections::BTreeMap;

use millstream_schemas::{RECORDS, RecordSchema, Value, frame, visit};
use millstream_transports::memory::MemoryLog;

use crate::topology::read;

/// Columns that Convergence does not compare: how an answer came about, not what it is.
const NOT_COMPARED: [&str; 6] = ["revision", "idempotency_key", "watermark", "source_event", "scored_at", "event_time"];

/// A row: column to value, as text.
pub type Row = BTreeMap<&'static str, String>;
/// Current rows by key.
pub type View = BTreeMap<Vec<String>, Row>;

/// The current view of every record kind that has a table.
pub fn current_views(log: &MemoryLog, partitions: u32) -> BTreeMap<&'static str, View> {
    RECORDS.iter().filter_map(|schema| Some((schema.table?, view_of(log, partitions, schema)))).collect()
}

fn view_of(log: &MemoryLog, partitions: u32, schema: &'static RecordSchema) -> View {
    let mut newest: BTreeMap<Vec<String>, (i64, bool, Row)> = BTreeMap::new();
    for partition in 0..partitions {
        for record in read(log, schema.topic, partition) {
            let (id, body) = frame::split(&record.value).unwrap();
            if id != schema.id {
                continue;
            }
            let mut row = Row::new();
            let mut revision = 0;
            let mut retracted = false;
            visit(schema, body, &mut |field, value| {
                match (field.name, &value) {
                    ("revision", Value::Long(number)) => revision = *number,
                    ("retracted", Value::Bool(flag)) => retracted = *flag,
                    _ => {}
                }
                row.insert(field.name, format!("{value:?}"));
            })
            .unwrap();
            let key: Vec<String> = schema.key.iter().map(|name| row[name].clone()).collect();
            let known = newest.get(&key).map(|(known, _, _)| *known);
            assert_ne!(known, Some(revision), "{} {key:?} has two records of revision {revision}", schema.name);
            if known.is_none_or(|known| known < revision) {
                newest.insert(key, (revision, retracted, row));
            }
        }
    }
    newest.into_iter().filter(|(_, (_, retracted, _))| !retracted).map(|(key, (_, _, row))| (key, row)).collect()
}

/// A view without the columns that Convergence does not compare. `keep` names some that are compared all the same.
pub fn comparable(view: &View, keep: &[&str]) -> View {
    view.iter()
        .map(|(key, row)| {
            let row = row.iter().filter(|(name, _)| keep.contains(name) || !NOT_COMPARED.contains(name));
            (key.clone(), row.map(|(name, value)| (*name, value.clone())).collect())
        })
        .collect()
}
