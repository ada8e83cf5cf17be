//! The JSON Schema of what comes in.

use crate::catalogue::{Catalogue, EventType, InputField, Kind};
use millstream_schemas::input::TIME_RANGE_MS;
use serde_json::{Map, Value, json};

/// The schema of a request's body; `$defs/event` is that of one event.
///
/// It is as strict as the parser, with two exceptions that JSON Schema cannot express: lengths count characters where the parser
/// counts bytes, and texts of dates, amounts and currencies are checked by form only.
pub fn schema(catalogue: &Catalogue) -> String {
    let mut definitions = Map::new();
    definitions.insert("event".into(), event(catalogue));
    for group in &catalogue.groups {
        definitions.insert(group.name.clone(), object(&group.doc, &group.fields));
    }
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("Millstream events, version {}", catalogue.version),
        "description": "The body of POST /v1/events. Unknown fields are allowed everywhere and are kept.",
        "type": "object",
        "required": ["events"],
        "properties": {
            "sent_at": time("When the sender sent the request, by its own clock: corrects the events' times."),
            "events": { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/event" } },
        },
        "$defs": definitions,
    });
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

fn event(catalogue: &Catalogue) -> Value {
    let mut event = object("One event.", &catalogue.fields);
    let names: Vec<&str> = catalogue.types.iter().map(|ty| ty.name.as_str()).collect();
    event["properties"]["type"] = json!({ "description": "What happened.", "enum": names });
    let needing = catalogue.types.iter().filter(|ty| !ty.requires.is_empty());
    event["allOf"] = needing
        .map(|ty| {
            json!({
                "if": { "properties": { "type": { "const": ty.name } }, "required": ["type"] },
                "then": { "allOf": requirements(catalogue, ty) },
            })
        })
        .collect();
    event
}

fn requirements(catalogue: &Catalogue, ty: &EventType) -> Vec<Value> {
    let one = |path: &str| {
        let mut value = given();
        if catalogue.field(path).is_some_and(|field| field.kind == Kind::Lines) {
            value["minItems"] = json!(1);
        }
        match path.split_once('.') {
            Some((group, name)) => json!({
                "required": [group],
                "properties": { group: { "type": "object", "required": [name], "properties": { name: value } } },
            }),
            None => json!({ "required": [path], "properties": { path: value } }),
        }
    };
    ty.requires
        .iter()
        .map(|paths| match paths.split('|').collect::<Vec<_>>().as_slice() {
            [path] => one(path),
            paths => json!({ "anyOf": paths.iter().map(|path| one(path)).collect::<Vec<_>>() }),
        })
        .collect()
}

/// Neither null nor empty.
fn given() -> Value {
    json!({ "not": { "type": "null" }, "minLength": 1 })
}

fn object(doc: &str, fields: &[InputField]) -> Value {
    let properties: Map<String, Value> = fields.iter().map(|field| (field.name.clone(), value(field))).collect();
    let required: Vec<&str> = fields.iter().filter(|field| field.required).map(|field| field.name.as_str()).collect();
    let mut object = json!({ "description": doc, "type": "object", "properties": properties });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

fn value(field: &InputField) -> Value {
    let mut doc = field.doc.clone();
    if let Some(unit) = &field.unit {
        doc.push_str(&format!(" In {unit}."));
    }
    if field.pii {
        doc.push_str(" Personal data.");
    }
    let mut value = match field.kind {
        Kind::String if field.required => {
            json!({ "type": "string", "minLength": 1, "maxLength": field.max_bytes })
        }
        Kind::String => json!({ "type": ["string", "null"], "maxLength": field.max_bytes }),
        Kind::EventType => json!({}),
        Kind::Time => return time(&doc),
        Kind::Long => {
            json!({ "type": ["integer", "null"], "minimum": field.min, "maximum": field.max.unwrap_or(i64::MAX) })
        }
        Kind::Decimal => json!({
            "type": ["number", "string", "null"],
            "minimum": 0,
            "exclusiveMaximum": 1_000_000_000_000i64,
            "pattern": r"^$|^\+?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$",
        }),
        Kind::Currency => json!({ "type": ["string", "null"], "pattern": "^$|^[A-Za-z]{3}$" }),
        Kind::Consent => json!({
            "anyOf": [
                { "type": "null" },
                { "type": "array", "items": { "type": ["string", "null"] } },
                {
                    "type": "object",
                    "properties": {
                        "necessary": { "type": ["boolean", "null"] },
                        "analytics": { "type": ["boolean", "null"] },
                        "personalization": { "type": ["boolean", "null"] },
                        "advertising": { "type": ["boolean", "null"] },
                    },
                },
            ],
        }),
        Kind::Object => json!({ "type": ["object", "null"] }),
        Kind::Group => json!({ "anyOf": [{ "type": "null" }, { "$ref": format!("#/$defs/{}", field.name) }] }),
        Kind::Lines => json!({
            "type": ["array", "null"],
            "maxItems": field.max_items,
            "items": { "$ref": format!("#/$defs/{}", field.of.as_deref().unwrap_or_default()) },
        }),
    };
    value["description"] = json!(doc);
    value
}

fn time(doc: &str) -> Value {
    json!({
        "description": format!("{doc} ISO-8601 with a zone, or milliseconds since 1970."),
        "type": ["string", "number", "null"],
        "minimum": TIME_RANGE_MS.start,
        "exclusiveMaximum": TIME_RANGE_MS.end,
        "pattern": r"^$|^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d([.,]\d{1,9})?([Zz]|[-+]\d\d(:?\d\d)?)$",
    })
}
