//! What becomes of one record.

use millstream_schemas::input::Reason;
use millstream_schemas::{Decimal, Id, RecordSchema, SchemaIds, Value, by_id, frame, visit};

use crate::routes::Route;

/// A record's fate.
#[derive(Debug)]
pub enum Fate<'a> {
    /// A row, with its values in schema order. Of one that this sink must not see, but whose key may be in it from before, only that the
    /// key has ceased here.
    Row(Vec<Value<'a>>),
    /// A row that this sink must not see, of a kind whose rows are never followed by another revision.
    Filtered,
    /// Carries no row by design.
    Skipped,
    /// Cannot be read.
    Rejected(Reject),
}

/// Why a record cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Why, as the catalogue calls it.
    pub reason: Reason,
    /// The field at fault, where one is.
    pub field: Option<&'static str>,
    /// What was wrong.
    pub detail: String,
}

/// Reads one record of a route's topic.
pub fn read<'a>(route: &Route, ids: &SchemaIds, required_purposes: i32, value: &'a [u8]) -> Fate<'a> {
    let reject = |reason, field, detail| Fate::Rejected(Reject { reason, field, detail });
    if value.is_empty() {
        // A tombstone ends a key on a compacted topic; its retracted revision came as a row before it.
        return Fate::Skipped;
    }
    let (wire_id, body) = match frame::split(value) {
        Ok(split) => split,
        Err(error) => return reject(Reason::CorruptFrame, None, error.to_string()),
    };
    let id = ids.from_wire(wire_id);
    if id != route.schema.id {
        return match by_id(id) {
            Some(other) if other.table.is_none() => Fate::Skipped,
            Some(other) => reject(
                Reason::UnexpectedRecord,
                None,
                format!("record {} does not belong into topic {}", other.name, route.topic),
            ),
            None => {
                reject(Reason::UnknownSchema, None, format!("no schema has id {wire_id}; a newer version may know it"))
            }
        };
    }
    let mut values = Vec::with_capacity(route.schema.fields.len());
    if let Err(error) = visit(route.schema, body, &mut |_, value| values.push(value)) {
        let field = (!error.field.is_empty()).then_some(error.field);
        return reject(Reason::CorruptFrame, field, error.to_string());
    }
    let consent = match route.consent_position.and_then(|position| values.get(position)) {
        Some(Value::Int(bits)) => *bits,
        // No consent field: not about a person's behaviour (dead letters, identities).
        _ => required_purposes,
    };
    if consent & required_purposes == required_purposes {
        Fate::Row(values)
    } else if route.schema.append_only || route.schema.position("retracted").is_none() {
        Fate::Filtered
    } else {
        Fate::Row(ceased(route.schema, values))
    }
}

/// Fields that a row keeps which says only that its key has ceased: without them nobody could say when and in which order.
const KEPT: [&str; 5] = ["site", "revision", "idempotency_key", "event_time", "consent"];

/// The row as a retraction that tells nothing but its key: a person who takes a purpose back must not stay current with what was known
/// before.
fn ceased<'a>(schema: &RecordSchema, values: Vec<Value<'a>>) -> Vec<Value<'a>> {
    let fields = schema.fields.iter().zip(values);
    fields
        .map(|(field, value)| match (field.name, value) {
            ("retracted", _) => Value::Bool(true),
            (name, value) if KEPT.contains(&name) || schema.key.contains(&name) => value,
            _ if field.optional => Value::Null,
            (_, value) => nothing_like(&value),
        })
        .collect()
}

/// The value of the same type that says nothing.
fn nothing_like<'a>(value: &Value<'_>) -> Value<'a> {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) => Value::Bool(false),
        Value::Int(_) => Value::Int(0),
        Value::Long(_) => Value::Long(0),
        Value::Double(_) => Value::Double(0.0),
        Value::Timestamp(_) => Value::Timestamp(0),
        Value::Decimal(_) => Value::Decimal(Decimal::default()),
        Value::Id(_) => Value::Id(Id(0)),
        Value::Str(_) => Value::Str(""),
        Value::Bytes(_) => Value::Bytes(&[]),
        Value::Strings(_) => Value::Strings(Vec::new()),
        Value::Records(_) => Value::Records(Vec::new()),
    }
}
