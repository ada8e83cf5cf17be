//! The mapping file: how rows become events. `examples/mappings` explains it by examples; every mistake is told with its line.

mod columns;
mod condition;
mod event;
mod fields;
mod source;
mod text;
mod time;
mod value;

use std::path::Path;

pub(crate) use columns::{ColumnId, Columns};
pub(crate) use condition::{Fate, Rule};
pub(crate) use event::{EventSpec, FieldSpec, LineSpec};
pub(crate) use fields::Kind;
pub(crate) use source::{Format, SourceSpec};
pub(crate) use time::TimeSpec;
pub(crate) use value::{BadValue, ValueSpec, decimal};

use crate::error::{ImportError, MappingError};
use text::{Source, Table};

/// A valid mapping.
#[derive(Debug, Clone)]
pub struct Mapping {
    pub(crate) text: String,
    pub(crate) data_set: Option<String>,
    pub(crate) site: Option<String>,
    pub(crate) source: SourceSpec,
    pub(crate) time: TimeSpec,
    pub(crate) rules: Vec<Rule>,
    pub(crate) events: Vec<EventSpec>,
    pub(crate) columns: Columns,
}

impl Mapping {
    /// Reads and validates a mapping file.
    pub fn load(path: &Path) -> Result<Self, ImportError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ImportError::File {
            file: file.clone(),
            line: 0,
            message: format!("cannot be read: {error}"),
        })?;
        Ok(Self::parse(&file, &text)?)
    }

    /// Validates a mapping's text; `file` is the name that errors give.
    pub fn parse(file: &str, text: &str) -> Result<Self, MappingError> {
        let document = text::parse(file, text)?;
        let root = Table::root(Source { file, text }, &document);
        root.only(&["data_set", "site", "source", "time", "rule", "event"])?;
        let mut columns = Columns::default();
        let source = SourceSpec::read(root.table("source")?)?;
        let time = root.table("time")?.ok_or_else(|| root.error("the table [time] is missing"))?;
        let time = TimeSpec::read(time, &mut columns)?;
        let table = root.table("event")?.ok_or_else(|| root.error("there is no table [event.NAME]"))?;
        let mut events = Vec::new();
        for (name, _, node) in table.entries() {
            events.push(EventSpec::read(name, node.table(name)?, &mut columns)?);
        }
        let index = |name: &str| events.iter().position(|event| event.name == name);
        let mut rules = Vec::new();
        for node in root.list("rule")? {
            rules.push(Rule::read(node.table("rule")?, &mut columns, index)?);
        }
        if rules.is_empty() {
            match events.len() {
                0 => return Err(table.error("there is no table [event.NAME]")),
                1 => rules.push(Rule::always(Fate::Event(0))),
                _ => return Err(table.error("several events need [[rule]]s that choose one for each row")),
            }
        }
        if let Some(unused) = (0..events.len()).find(|at| !rules.iter().any(|rule| rule.fate == Fate::Event(*at)))
            && let Some(event) = events.get(unused)
        {
            return Err(table.error(format!("no rule leads to [event.{}]", event.name)));
        }
        Ok(Self {
            text: text.to_owned(),
            data_set: root.text("data_set")?.map(str::to_owned),
            site: root.text("site")?.map(str::to_owned),
            source,
            time,
            rules,
            events,
            columns,
        })
    }

    /// The data set's name, where the mapping gives one.
    pub fn data_set(&self) -> Option<&str> {
        self.data_set.as_deref()
    }

    /// The site, where the mapping gives one.
    pub fn site(&self) -> Option<&str> {
        self.site.as_deref()
    }

    /// The columns that the files must have.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.names()
    }
}

#[cfg(test)]
mod tests;
