//! Avro schemas.

use crate::definition::{Definition, FieldDefinition, Type};
use crate::type_name;
use serde_json::{Value, json};

/// The record's schema, nested records spelled out where they are first named.
pub fn schema(definition: &Definition, all: &[Definition]) -> String {
    // serde_json keeps the order in which we name things; it cannot fail on a value it made itself.
    let mut text = serde_json::to_string_pretty(&record(definition, all)).unwrap_or_default();
    text.push('\n');
    text
}

fn record(definition: &Definition, all: &[Definition]) -> Value {
    json!({
        "type": "record",
        "name": type_name(definition),
        "namespace": "millstream",
        "doc": definition.doc,
        "fields": definition.fields.iter().map(|field| self::field(field, all)).collect::<Vec<_>>(),
    })
}

fn field(field: &FieldDefinition, all: &[Definition]) -> Value {
    let ty = ty(field, all);
    let mut value = json!({
        "name": field.name,
        "type": if field.optional { json!(["null", ty]) } else { ty },
        "doc": field.doc,
    });
    if field.optional {
        value["default"] = Value::Null;
    } else if matches!(field.ty, Type::Array | Type::Strings) {
        value["default"] = json!([]);
    }
    if let Some(unit) = &field.unit {
        value["unit"] = json!(unit);
    }
    if field.pii {
        value["pii"] = json!(true);
    }
    value
}

fn ty(field: &FieldDefinition, all: &[Definition]) -> Value {
    match field.ty {
        Type::Symbol | Type::String | Type::Json | Type::Id => json!("string"),
        Type::Bool => json!("boolean"),
        Type::Int => json!("int"),
        Type::Long => json!("long"),
        Type::Double => json!("double"),
        Type::Timestamp => json!({"type": "long", "logicalType": "timestamp-millis"}),
        Type::Decimal => json!({"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 6}),
        Type::Bytes => json!("bytes"),
        Type::Strings => json!({"type": "array", "items": "string"}),
        Type::Array => {
            let nested = all.iter().find(|other| Some(&other.name) == field.items.as_ref());
            json!({"type": "array", "items": nested.map(|nested| record(nested, all))})
        }
    }
}
