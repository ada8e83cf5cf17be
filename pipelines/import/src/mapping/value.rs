//! Values: where one comes from in a row and what is done to it on the way.

use std::collections::BTreeMap;

use millstream_schemas::Decimal;

use super::columns::{ColumnId, Columns};
use super::text::{Node, Table};
use crate::error::MappingError;
use crate::read::Cells;

/// How a value is made of a row. The steps run in the order of the fields below; empty text means that there is no value.
#[derive(Debug, Clone, Default)]
pub(crate) struct ValueSpec {
    parts: Vec<Part>,
    json: Option<String>,
    trim: bool,
    strip_prefix: Option<String>,
    strip_suffix: Option<String>,
    first_chars: Option<usize>,
    lower: bool,
    upper: bool,
    map: BTreeMap<String, String>,
    negate: bool,
    abs: bool,
    default: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Constant(String),
    Column(ColumnId),
    /// `{@file}`: the file's name.
    File,
    /// `{@line}`: the line the row begins on.
    Line,
}

impl Part {
    fn named(name: &str, node: Node<'_>, required: bool, columns: &mut Columns) -> Result<Self, MappingError> {
        match name.strip_prefix('@') {
            None => Ok(Self::Column(columns.id(name, node.error(""), required))),
            Some("file") => Ok(Self::File),
            Some("line") => Ok(Self::Line),
            Some(_) => {
                Err(node.error(format!("{{{name}}} is unknown; besides columns there are {{@file}} and {{@line}}")))
            }
        }
    }
}

/// The keys a value table may have; conditions add their own.
pub(crate) const VALUE_KEYS: [&str; 15] = [
    "column",
    "template",
    "const",
    "optional",
    "json",
    "trim",
    "strip_prefix",
    "strip_suffix",
    "first_chars",
    "lower",
    "upper",
    "map",
    "negate",
    "abs",
    "default",
];

/// A value that the row does not give: reason and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadValue {
    pub(crate) reason: &'static str,
    pub(crate) detail: String,
}

impl ValueSpec {
    /// Reads a value: `"text {Column}"`, a number or flag, or a table with a source and steps.
    pub(crate) fn read(node: Node<'_>, what: &str, columns: &mut Columns) -> Result<Self, MappingError> {
        match node.as_table() {
            Some(table) => {
                table.only(&VALUE_KEYS)?;
                Self::read_table(table, columns)
            }
            None => {
                let text = node.scalar(what)?;
                let parts = template(&text, node, true, columns)?;
                Ok(Self { parts, ..Self::default() })
            }
        }
    }

    /// Reads the value keys of a table that may have others.
    pub(crate) fn read_table(table: Table<'_>, columns: &mut Columns) -> Result<Self, MappingError> {
        let required = !table.flag("optional")?.unwrap_or(false);
        let mut sources = Vec::new();
        if let Some(node) = table.get("column") {
            let name = node.text("column")?;
            sources.push(vec![Part::named(name, node, required, columns)?]);
        }
        if let Some(node) = table.get("template") {
            sources.push(template(node.text("template")?, node, required, columns)?);
        }
        if let Some(node) = table.get("const") {
            sources.push(vec![Part::Constant(node.scalar("const")?)]);
        }
        let [parts] = <[Vec<Part>; 1]>::try_from(sources)
            .map_err(|_| table.error("a value has exactly one of `column`, `template` and `const`"))?;
        let json = table.text("json")?.map(str::to_owned);
        if json.as_ref().is_some_and(|pointer| !pointer.starts_with('/')) {
            return Err(table.error("`json` is a JSON pointer such as \"/0/id\""));
        }
        let mut map = BTreeMap::new();
        if let Some(entries) = table.table("map")? {
            for (from, _, to) in entries.entries() {
                map.insert(from.to_owned(), to.scalar(from)?);
            }
        }
        Ok(Self {
            parts,
            json,
            trim: table.flag("trim")?.unwrap_or(false),
            strip_prefix: table.text("strip_prefix")?.map(str::to_owned),
            strip_suffix: table.text("strip_suffix")?.map(str::to_owned),
            first_chars: table
                .get("first_chars")
                .map(|node| node.count("first_chars", 1))
                .transpose()?
                .map(|n| n as usize),
            lower: table.flag("lower")?.unwrap_or(false),
            upper: table.flag("upper")?.unwrap_or(false),
            map,
            negate: table.flag("negate")?.unwrap_or(false),
            abs: table.flag("abs")?.unwrap_or(false),
            default: match table.get("default") {
                Some(node) => template(&node.scalar("default")?, node, required, columns)?,
                None => Vec::new(),
            },
        })
    }

    /// Puts the row's value into `out`; empty means none. What a `map` does not name stays as it is.
    pub(crate) fn eval(&self, row: &Cells<'_>, out: &mut String) -> Result<(), BadValue> {
        out.clear();
        fill(&self.parts, row, out);
        if !out.is_empty() {
            self.transform(out)?;
        }
        if out.is_empty() {
            fill(&self.default, row, out);
        }
        Ok(())
    }

    fn transform(&self, out: &mut String) -> Result<(), BadValue> {
        if let Some(pointer) = &self.json {
            *out = json_text(out, pointer)?;
        }
        if self.trim {
            *out = out.trim().to_owned();
        }
        if let Some(rest) = self.strip_prefix.as_ref().and_then(|prefix| out.strip_prefix(prefix.as_str())) {
            *out = rest.to_owned();
        }
        if let Some(rest) = self.strip_suffix.as_ref().and_then(|suffix| out.strip_suffix(suffix.as_str())) {
            out.truncate(rest.len());
        }
        if let Some((end, _)) = self.first_chars.and_then(|count| out.char_indices().nth(count)) {
            out.truncate(end);
        }
        if self.lower {
            *out = out.to_lowercase();
        }
        if self.upper {
            *out = out.to_uppercase();
        }
        if let Some(to) = self.map.get(out.as_str()) {
            out.clone_from(to);
        }
        if (self.negate || self.abs) && !out.is_empty() {
            let mantissa = decimal(out)?.mantissa();
            let mantissa = if self.negate { -mantissa } else { mantissa };
            let mantissa = if self.abs { mantissa.abs() } else { mantissa };
            // The sign alone cannot leave the range.
            *out = Decimal::from_mantissa(mantissa).unwrap_or_default().to_string();
        }
        Ok(())
    }
}

/// Appends the parts; nothing where columns are named and all of them are empty.
fn fill(parts: &[Part], row: &Cells<'_>, out: &mut String) {
    let mut found = !parts.iter().any(|part| matches!(part, Part::Column(_)));
    for part in parts {
        match part {
            Part::Constant(text) => out.push_str(text),
            Part::Column(column) => {
                let cell = row.get(*column);
                found |= !cell.is_empty();
                out.push_str(cell);
            }
            Part::File => out.push_str(row.file()),
            Part::Line => out.push_str(&row.line().to_string()),
        }
    }
    if !found {
        out.clear();
    }
}

/// A decimal of a cell.
pub(crate) fn decimal(text: &str) -> Result<Decimal, BadValue> {
    Decimal::parse_exact(text)
        .map_err(|error| BadValue { reason: "invalid_amount", detail: format!("`{text}`: {error}") })
}

fn json_text(text: &str, pointer: &str) -> Result<String, BadValue> {
    let value: serde_json::Value = serde_json::from_str(text)
        .map_err(|error| BadValue { reason: "invalid_json", detail: format!("the column holds no JSON: {error}") })?;
    Ok(match value.pointer(pointer) {
        None | Some(serde_json::Value::Null) => String::new(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    })
}

/// Splits `"a {Column} b"`; `{{` and `}}` are braces.
fn template(text: &str, node: Node<'_>, required: bool, columns: &mut Columns) -> Result<Vec<Part>, MappingError> {
    let mut parts = Vec::new();
    let mut constant = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        constant.push_str(&rest[..at]);
        let tail = &rest[at..];
        if let Some(after) = tail.strip_prefix("{{") {
            constant.push('{');
            rest = after;
        } else if let Some(after) = tail.strip_prefix("}}") {
            constant.push('}');
            rest = after;
        } else if let Some((name, after)) = tail.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            if !constant.is_empty() {
                parts.push(Part::Constant(std::mem::take(&mut constant)));
            }
            parts.push(Part::named(name, node, required, columns)?);
            rest = after;
        } else {
            return Err(node.error("a brace stands alone: columns are written {Name}, braces {{ and }}"));
        }
    }
    constant.push_str(rest);
    if !constant.is_empty() {
        parts.push(Part::Constant(constant));
    }
    Ok(parts)
}
