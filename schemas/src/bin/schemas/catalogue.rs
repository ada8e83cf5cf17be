//! The input catalogue as it stands in `catalogue/*.toml`, and what must hold for it.

use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::Path;

/// The events of one version.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    pub version: u32,
    /// A request, for the reference page.
    pub example: String,
    /// An event's own fields.
    pub fields: Vec<InputField>,
    pub groups: Vec<Group>,
    pub types: Vec<EventType>,
}

/// Fields that stand together in an object.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    pub name: String,
    pub doc: String,
    pub fields: Vec<InputField>,
}

/// A field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputField {
    pub name: String,
    pub kind: Kind,
    #[serde(default)]
    pub required: bool,
    #[serde(default)]
    pub max_bytes: Option<usize>,
    #[serde(default)]
    pub max_items: Option<usize>,
    #[serde(default)]
    pub min: Option<i64>,
    #[serde(default)]
    pub max: Option<i64>,
    /// The group of an array's items.
    #[serde(default)]
    pub of: Option<String>,
    #[serde(default)]
    pub unit: Option<String>,
    #[serde(default)]
    pub pii: bool,
    pub doc: String,
}

/// What a field holds.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    String,
    Time,
    Long,
    Decimal,
    Currency,
    Consent,
    EventType,
    Object,
    Group,
    Lines,
}

/// An event type.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventType {
    pub name: String,
    pub doc: String,
    /// Paths that must be there; `a|b` where one of them is enough.
    pub requires: Vec<String>,
}

/// Why something is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    pub name: String,
    pub fate: Fate,
    pub doc: String,
}

/// What becomes of what is refused.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    Answered,
    Rejected,
    Dropped,
    Noted,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reasons {
    reasons: Vec<Reason>,
}

impl Catalogue {
    /// The group called `name`.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// The field at a path: its own or, behind a point, a group's.
    pub fn field(&self, path: &str) -> Option<&InputField> {
        let (fields, name) = match path.split_once('.') {
            Some((group, name)) => (&self.group(group)?.fields, name),
            None => (&self.fields, path),
        };
        fields.iter().find(|field| field.name == name)
    }

    fn check(&self) -> Result<(), String> {
        if self.version != 1 {
            return Err("catalogue: version 1 is the only one there is".into());
        }
        let all = self.groups.iter().map(|group| (group.name.as_str(), &group.fields)).chain([("event", &self.fields)]);
        for (owner, fields) in all {
            let mut names = BTreeSet::new();
            for field in fields {
                let fail = |what: &str| Err(format!("catalogue: {owner}.{}: {what}", field.name));
                if !names.insert(&field.name) {
                    return fail("is there twice");
                }
                if matches!(field.kind, Kind::String | Kind::Object) != field.max_bytes.is_some() {
                    return fail("strings and objects, and nothing else, have max_bytes");
                }
                if (field.kind == Kind::Lines) != (field.max_items.is_some() && field.of.is_some()) {
                    return fail("lines, and nothing else, have max_items and of");
                }
                if field.kind == Kind::Group && (owner != "event" || self.group(&field.name).is_none()) {
                    return fail("no such group, or a group in a group");
                }
                if field.of.as_ref().is_some_and(|of| self.group(of).is_none()) {
                    return fail("no such group");
                }
                if (field.kind == Kind::Long) != field.min.is_some() {
                    return fail("numbers, and nothing else, have a min");
                }
                if field.required && !matches!(field.kind, Kind::String | Kind::EventType) {
                    return fail("only strings can be required");
                }
            }
        }
        for event_type in &self.types {
            let missing =
                event_type.requires.iter().flat_map(|paths| paths.split('|')).find(|path| self.field(path).is_none());
            if let Some(path) = missing {
                return Err(format!("catalogue: type {} requires {path}, which is no field", event_type.name));
            }
        }
        Ok(())
    }
}

/// Reads and checks the catalogue and the reasons.
pub fn load(folder: &Path) -> Result<(Catalogue, Vec<Reason>), String> {
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let name = "event-v1.toml";
    let catalogue: Catalogue = toml::from_str(&read(name)?).map_err(|error| format!("catalogue/{name}: {error}"))?;
    catalogue.check()?;
    let name = "reasons.toml";
    let reasons: Reasons = toml::from_str(&read(name)?).map_err(|error| format!("catalogue/{name}: {error}"))?;
    Ok((catalogue, reasons.reasons))
}
