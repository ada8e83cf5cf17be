//! Records by the names of their fields, so that a field more or less breaks nothing here.

use millstream_schemas::{DecodeError, Id, RecordSchema, SchemaIds, Value, by_id, frame, visit};
use serde_json::{Map, Number, Value as Json};

/// A record's body with the schema it was written by.
#[derive(Clone)]
pub(crate) struct Row {
    schema: &'static RecordSchema,
    body: Box<[u8]>,
}

/// What a frame holds, before it is known whether anybody wants it.
#[derive(Clone, Copy)]
pub(crate) struct Framed<'a> {
    pub schema: &'static RecordSchema,
    pub body: &'a [u8],
}

impl<'a> Framed<'a> {
    /// Reads the five bytes before the body; `None` where they are none of ours.
    pub fn read(value: &'a [u8], ids: &SchemaIds) -> Option<Self> {
        let (id, body) = frame::split(value).ok()?;
        Some(Self { schema: by_id(ids.from_wire(id))?, body })
    }

    /// The named fields, in the order asked for; `Value::Null` for a field that the record does not have.
    pub fn fields<const N: usize>(&self, names: [&str; N]) -> Result<[Value<'a>; N], DecodeError> {
        let mut found = [const { Value::Null }; N];
        visit(self.schema, self.body, &mut |field, value| {
            if let Some(at) = names.iter().position(|name| *name == field.name)
                && let Some(place) = found.get_mut(at)
            {
                *place = value;
            }
        })?;
        Ok(found)
    }

    /// Keeps a copy.
    pub fn keep(&self) -> Row {
        Row { schema: self.schema, body: self.body.into() }
    }
}

/// Fields of every record that say nothing to a reader of its current row.
const PLUMBING: [&str; 4] = ["site", "retracted", "idempotency_key", "watermark"];

impl Row {
    /// The row as JSON under the names of `docs/reference/records.md`; ids as hexadecimal text, times in milliseconds since 1970.
    pub fn to_json(&self) -> Json {
        let mut object = Map::new();
        let read = visit(self.schema, &self.body, &mut |field, value| {
            if !PLUMBING.contains(&field.name) {
                object.insert(field.name.to_owned(), json(value));
            }
        });
        // It was read to its end before it was kept.
        debug_assert!(read.is_ok(), "a kept row can be read again");
        Json::Object(object)
    }
}

fn json(value: Value<'_>) -> Json {
    match value {
        Value::Null | Value::Bytes(_) => Json::Null,
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::Long(value) | Value::Timestamp(value) => value.into(),
        Value::Double(value) => Number::from_f64(value).map_or(Json::Null, Json::Number),
        Value::Decimal(value) => value.to_string().into(),
        Value::Id(value) => value.to_string().into(),
        Value::Str(text) => text.into(),
        Value::Strings(texts) => texts.into(),
        Value::Records(rows) => rows.into_iter().map(|row| row.into_iter().map(json).collect::<Json>()).collect(),
    }
}

/// Text of a value; empty where it is none.
pub(crate) fn text<'a>(value: &Value<'a>) -> &'a str {
    match value {
        Value::Str(text) => text,
        _ => "",
    }
}

/// Whole number of a value; 0 where it is none.
pub(crate) fn long(value: &Value<'_>) -> i64 {
    match value {
        Value::Long(value) | Value::Timestamp(value) => *value,
        Value::Int(value) => i64::from(*value),
        _ => 0,
    }
}

/// Id of a value; the zero id where it is none.
pub(crate) fn id(value: &Value<'_>) -> Id {
    match value {
        Value::Id(id) => *id,
        _ => Id(0),
    }
}

/// Whether a value is true.
pub(crate) fn is_true(value: &Value<'_>) -> bool {
    matches!(value, Value::Bool(true))
}
