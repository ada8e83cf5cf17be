//! *Convergence*: whether two namespaces end in the same current views.
//!
//! The current view of a record kind is, of each key, the record with the highest revision, unless it is retracted. How an answer came
//! about is not compared ([`NOT_COMPARED`]), what it is, is.

use std::collections::BTreeMap;

use millstream_schemas::{RECORDS, RecordSchema, SchemaIds, Value, frame, visit};
use millstream_transports::Transport;
use xxhash_rust::xxh3::xxh3_128;

use crate::ReplayError;
use crate::reading::{Next, read};

/// Columns that tell how an answer came about.
pub const NOT_COMPARED: [&str; 7] =
    ["revision", "idempotency_key", "watermark", "source_event", "scored_at", "model_version", "calibration_version"];
/// Kinds whose records a timer may write: `event_time` is then the time of the record that let the timer run.
const TIMED: [&str; 6] = ["sessions", "scores_propensity", "scores_engagement", "scores_churn", "clv", "profiles"];
/// Dead letters are addressed by their place in the input, which differs: what is in them is compared, copies counted.
const BY_CONTENT: &str = "events_rejected";
/// Dead letters of what came after a closing: where it is accepted, its event is compared.
const STRAGGLER: &str = "namespace_closed";
/// Dead letters that no input has caused: rows of files, and records that a sink could not read. They are not copied.
const NOT_OF_INPUT: [&str; 2] = ["import", "deliver"];
const CONTENT: [&str; 6] = ["site", "stage", "reason", "field", "event_id", "payload"];
/// Books of a namespace's own transactions, and of its own input.
const OWN: [&str; 1] = ["ledger"];
/// Differences that are named; all are counted.
const SHOWN: usize = 10;

/// How one kind of record compares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// The table of its kind.
    pub table: &'static str,
    /// Current rows of the first namespace.
    pub rows: u64,
    /// Keys that only one of them has, or of which they say different things.
    pub different: u64,
    /// The first of those, in words.
    pub shown: Vec<String>,
}

/// What a key's newest record says.
#[derive(Debug, Clone)]
struct Newest {
    revision: i64,
    retracted: bool,
    /// Hash of each compared column, in the order of the schema.
    columns: Vec<(&'static str, u128)>,
}

type View = BTreeMap<String, Newest>;

/// Compares the current views of two namespaces, kind by kind.
///
/// # Errors
/// Where the log fails or holds what cannot be read.
pub fn compare(
    transport: &dyn Transport,
    ids: &SchemaIds,
    one: &str,
    other: &str,
    mut progress: impl FnMut(&str),
) -> Result<Vec<Compared>, ReplayError> {
    let kinds = RECORDS.iter().filter_map(|schema| Some((schema.table?, *schema)));
    let kinds = kinds.filter(|(table, _)| !OWN.contains(table));
    kinds
        .map(|(table, schema)| {
            progress(table);
            let views = (view_of(transport, ids, one, table, schema)?, view_of(transport, ids, other, table, schema)?);
            Ok(differences(table, (one, &views.0), (other, &views.1)))
        })
        .collect()
}

fn differences(table: &'static str, (one, left): (&str, &View), (other, right): (&str, &View)) -> Compared {
    let mut compared = Compared { table, rows: left.len() as u64, ..Compared::default() };
    let keys: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    for key in keys {
        let what = match (left.get(key), right.get(key)) {
            (Some(left), Some(right)) if left.columns == right.columns => continue,
            (Some(left), Some(right)) => {
                let columns = left.columns.iter().zip(&right.columns).filter(|(left, right)| left != right);
                let columns: Vec<&str> = columns.map(|((name, _), _)| *name).collect();
                format!("{key}: {} differ", columns.join(", "))
            }
            (Some(_), None) => format!("{key}: only in {one:?}"),
            (None, _) => format!("{key}: only in {other:?}"),
        };
        compared.different += 1;
        if compared.shown.len() < SHOWN {
            compared.shown.push(what);
        }
    }
    compared
}

fn view_of(
    transport: &dyn Transport,
    ids: &SchemaIds,
    namespace: &str,
    table: &str,
    schema: &'static RecordSchema,
) -> Result<View, ReplayError> {
    let topic = format!("{namespace}{}", schema.topic);
    let mut view = View::new();
    for partition in 0..transport.partition_count(&topic)? {
        read(transport, &topic, partition, 0, u64::MAX, |record| {
            if record.value.is_empty() {
                return Ok(Next::On);
            }
            let unreadable = |detail: String| ReplayError::Unreadable {
                topic: topic.clone(),
                partition,
                offset: record.offset,
                detail,
            };
            let (id, body) = frame::split(record.value).map_err(|error| unreadable(error.to_string()))?;
            if ids.from_wire(id) == schema.id
                && let Some((key, newest)) = row_of(table, schema, body).map_err(unreadable)?
            {
                add(&mut view, table, key, newest);
            }
            Ok(Next::On)
        })?;
    }
    view.retain(|_, newest| !newest.retracted);
    Ok(view)
}

fn add(view: &mut View, table: &str, key: String, newest: Newest) {
    if table == BY_CONTENT {
        // The revision of such a row is how often it is there.
        let known = view.entry(key).or_insert(Newest { revision: 0, ..newest });
        known.revision += 1;
        known.columns = vec![("copies", known.revision.unsigned_abs().into())];
        return;
    }
    match view.get_mut(&key) {
        Some(known) if known.revision >= newest.revision => {}
        Some(known) => *known = newest,
        None => {
            view.insert(key, newest);
        }
    }
}

fn row_of(table: &str, schema: &'static RecordSchema, body: &[u8]) -> Result<Option<(String, Newest)>, String> {
    let mut is_left_out = false;
    let mut newest = Newest { revision: 0, retracted: false, columns: Vec::new() };
    let mut key = BTreeMap::new();
    let keys: &[&str] = if table == BY_CONTENT { &CONTENT } else { schema.key };
    visit(schema, body, &mut |field, value| {
        match (field.name, &value) {
            ("revision", Value::Long(number)) => newest.revision = *number,
            ("retracted", Value::Bool(flag)) => newest.retracted = *flag,
            ("reason", Value::Str(STRAGGLER)) if table == BY_CONTENT => is_left_out = true,
            ("stage", Value::Str(stage)) if table == BY_CONTENT && NOT_OF_INPUT.contains(stage) => is_left_out = true,
            _ => {}
        }
        let text = format!("{value:?}");
        let is_another_time = field.name == "event_time" && TIMED.contains(&table);
        if !is_another_time && !NOT_COMPARED.contains(&field.name) {
            newest.columns.push((field.name, xxh3_128(text.as_bytes())));
        }
        if let Some(at) = keys.iter().position(|name| *name == field.name) {
            key.insert(at, text);
        }
    })
    .map_err(|error| error.to_string())?;
    Ok((!is_left_out).then(|| (key.into_values().collect::<Vec<_>>().join(" "), newest)))
}
