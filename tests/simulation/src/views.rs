//! Current views, computed naively from topics: the highest revision of each key, unless it is retracted.

use std::collections::BTreeMap;

use millstream_schemas::{RECORDS, RecordSchema, Value, frame, visit};

use crate::committed::Committed;

/// Columns that Convergence does not compare: how an answer came about, not what it is.
const NOT_COMPARED: [&str; 6] = ["revision", "idempotency_key", "watermark", "source_event", "scored_at", "event_time"];

/// A row: column to value, as text.
pub type Row = BTreeMap<&'static str, String>;
/// Current rows by key.
pub type View = BTreeMap<Vec<String>, Row>;

/// The current view of every record kind that has a table; `records` gives all committed records of a topic.
///
/// # Errors
/// Where a record cannot be read, or a key has two records of one revision.
pub fn current_views(
    mut records: impl FnMut(&'static str) -> Vec<Committed>,
) -> Result<BTreeMap<&'static str, View>, String> {
    let tables = RECORDS.iter().filter_map(|schema| Some((schema.table?, *schema)));
    tables.map(|(table, schema)| Ok((table, view_of(schema, &records(schema.topic))?))).collect()
}

/// The current view of one record kind.
///
/// # Errors
/// As [`current_views`].
pub fn view_of(schema: &'static RecordSchema, records: &[Committed]) -> Result<View, String> {
    let mut newest: BTreeMap<Vec<String>, (i64, bool, Row)> = BTreeMap::new();
    for record in records {
        let (id, body) = frame::split(&record.value).map_err(|error| format!("{}: {error}", schema.topic))?;
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
        .map_err(|error| format!("{} offset {}: {error}", schema.topic, record.offset))?;
        let key: Vec<String> = schema.key.iter().map(|name| row.get(name).cloned().unwrap_or_default()).collect();
        let known = newest.get(&key).map(|(known, _, _)| *known);
        if known == Some(revision) {
            return Err(format!("{} {key:?} has two records of revision {revision}", schema.name));
        }
        if known.is_none_or(|known| known < revision) {
            newest.insert(key, (revision, retracted, row));
        }
    }
    Ok(newest.into_iter().filter(|(_, (_, retracted, _))| !retracted).map(|(key, (_, _, row))| (key, row)).collect())
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
