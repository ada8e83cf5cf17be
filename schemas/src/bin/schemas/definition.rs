//! Record definitions as they stand in `records/*.toml`, and what must hold for them.

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// One record.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    pub name: String,
    pub id: u32,
    #[serde(default)]
    pub topic: Option<String>,
    #[serde(default)]
    pub table: Option<String>,
    #[serde(default)]
    pub key: Vec<String>,
    /// Released versions with fewer fields, and the schema ids they had.
    #[serde(default)]
    pub earlier: Vec<Earlier>,
    /// A key has one revision only.
    #[serde(default)]
    pub append_only: bool,
    pub doc: String,
    pub since: String,
    #[serde(default)]
    pub nested: bool,
    pub fields: Vec<FieldDefinition>,
}

/// A released version of a record that has grown since.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Earlier {
    pub id: u32,
    pub version: String,
}

/// One field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldDefinition {
    pub name: String,
    #[serde(rename = "type")]
    pub ty: Type,
    /// The nested record of an array.
    #[serde(default)]
    pub items: Option<String>,
    #[serde(default)]
    pub optional: bool,
    #[serde(default)]
    pub unit: Option<String>,
    #[serde(default)]
    pub pii: bool,
    pub doc: String,
    /// The version that appended the field; the record's own where not given.
    #[serde(default)]
    pub since: Option<String>,
}

/// A field's type.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    Symbol,
    String,
    Json,
    Id,
    Bool,
    Int,
    Long,
    Double,
    Timestamp,
    Decimal,
    Bytes,
    Strings,
    Array,
}

impl Definition {
    /// Whether a field was appended after the record's first release.
    pub fn appended(&self, field: &FieldDefinition) -> bool {
        field.since.as_ref().is_some_and(|since| *since != self.since)
    }

    fn field(&self, name: &str) -> Option<&FieldDefinition> {
        self.fields.iter().find(|field| field.name == name)
    }

    fn check(&self, all: &[Self]) -> Result<(), String> {
        let fail = |what: String| Err(format!("records/{}.toml: {what}", self.name));
        if self.nested != self.topic.is_none() {
            return fail("a record has a topic unless it is nested".into());
        }
        if self.table.is_some() == self.key.is_empty() {
            return fail("a record with a table needs a key, one without has none".into());
        }
        for name in &self.key {
            match self.field(name) {
                Some(field) if !field.optional => {}
                _ => return fail(format!("key field {name} must be a field that is not optional")),
            }
        }
        if self.table.is_some() {
            let required = [("revision", Type::Long), ("retracted", Type::Bool), ("event_time", Type::Timestamp)];
            for (name, ty) in required {
                if !self.field(name).is_some_and(|field| field.ty == ty && !field.optional) {
                    return fail(format!("a record with a table needs the field {name}"));
                }
            }
        }
        let versions: BTreeSet<&String> = self.fields.iter().filter_map(|field| field.since.as_ref()).collect();
        if versions.len() != self.earlier.len() {
            return fail("a record that grows takes a new id, and names the one it had in `earlier`".into());
        }
        let mut names = BTreeSet::new();
        let mut appending = false;
        for field in &self.fields {
            let name = &field.name;
            if !names.insert(name) {
                return fail(format!("field {name} is there twice"));
            }
            let is_array = matches!(field.ty, Type::Array | Type::Strings);
            if is_array && field.optional {
                return fail(format!("field {name}: an array is empty, never null"));
            }
            if (field.ty == Type::Array) != field.items.is_some() {
                return fail(format!("field {name}: an array, and nothing else, names its items"));
            }
            if let Some(items) = &field.items
                && !all.iter().any(|other| other.name == *items && other.nested && !self.nested)
            {
                return fail(format!("field {name}: {items} is no nested record"));
            }
            if appending && !self.appended(field) {
                return fail(format!("field {name}: fields of a later version come last"));
            }
            appending = self.appended(field);
            if appending && (self.nested || !(field.optional || is_array)) {
                return fail(format!(
                    "field {name}: a field added later must be optional or an array, and not in a nested record"
                ));
            }
        }
        Ok(())
    }
}

/// Reads and checks all definitions, sorted by id.
pub fn load(folder: &Path) -> Result<Vec<Definition>, String> {
    let mut definitions = Vec::new();
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in entries {
        let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let definition: Definition = toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        if path.file_stem().is_none_or(|stem| stem.to_string_lossy() != definition.name) {
            return Err(format!("{}: the file is not named after its record {}", path.display(), definition.name));
        }
        definitions.push(definition);
    }
    definitions.sort_by_key(|definition| definition.id);
    let mut ids = BTreeMap::new();
    for definition in &definitions {
        for id in definition.earlier.iter().map(|earlier| earlier.id).chain([definition.id]) {
            if let Some(other) = ids.insert(id, &definition.name) {
                return Err(format!("{other} and {} have the same id {id}", definition.name));
            }
        }
    }
    for definition in &definitions {
        definition.check(&definitions)?;
    }
    Ok(definitions)
}
