//! A mapping file as a tree that knows where everything stands, so that each mistake is told with its line.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::MappingError;

/// The mapping file's name and text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'s> {
    /// As it was named.
    pub(crate) file: &'s str,
    /// All of it.
    pub(crate) text: &'s str,
}

impl Source<'_> {
    /// An error at a place in the text.
    pub(crate) fn error(&self, at: usize, message: impl Into<String>) -> MappingError {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |tail| tail.chars().count()) + 1;
        MappingError { file: self.file.to_owned(), line, column, message: message.into() }
    }
}

/// A value with its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node<'s> {
    pub(crate) source: Source<'s>,
    value: &'s DeValue<'s>,
    /// Byte offset in the text.
    pub(crate) at: usize,
}

/// A table with its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table<'s> {
    pub(crate) source: Source<'s>,
    entries: &'s DeTable<'s>,
    /// Byte offset in the text.
    pub(crate) at: usize,
}

/// Parses the text into a tree.
pub(crate) fn parse<'t>(file: &str, text: &'t str) -> Result<Spanned<DeTable<'t>>, MappingError> {
    DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span: Range<usize>| span.start);
        Source { file, text }.error(at, error.message())
    })
}

impl<'s> Table<'s> {
    /// The whole document.
    pub(crate) fn root(source: Source<'s>, document: &'s Spanned<DeTable<'s>>) -> Self {
        Self { source, entries: document.get_ref(), at: document.span().start }
    }

    /// An error at the table's own place.
    pub(crate) fn error(&self, message: impl Into<String>) -> MappingError {
        self.source.error(self.at, message)
    }

    /// All entries in the order of their keys: key, its place, value.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'s str, usize, Node<'s>)> + use<'s> {
        let source = self.source;
        self.entries.iter().map(move |(key, value)| {
            let node = Node { source, value: value.get_ref(), at: value.span().start };
            (key.get_ref().as_ref(), key.span().start, node)
        })
    }

    /// The value under a key.
    pub(crate) fn get(&self, key: &str) -> Option<Node<'s>> {
        self.entries().find(|(name, ..)| *name == key).map(|(.., node)| node)
    }

    /// Refuses keys that mean nothing.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), MappingError> {
        match self.entries().find(|(key, ..)| !known.contains(key)) {
            Some((key, at, _)) => {
                Err(self.source.error(at, format!("unknown key `{key}`; known here: {}", known.join(", "))))
            }
            None => Ok(()),
        }
    }

    /// Text under a key.
    pub(crate) fn text(&self, key: &str) -> Result<Option<&'s str>, MappingError> {
        self.get(key).map(|node| node.text(key)).transpose()
    }

    /// Text under a key that must be there.
    pub(crate) fn required_text(&self, key: &str) -> Result<&'s str, MappingError> {
        self.text(key)?.ok_or_else(|| self.error(format!("`{key}` is missing")))
    }

    /// Yes or no under a key.
    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, MappingError> {
        self.get(key).map(|node| node.value.as_bool().ok_or_else(|| node.expected(key, "true or false"))).transpose()
    }

    /// A table under a key.
    pub(crate) fn table(&self, key: &str) -> Result<Option<Table<'s>>, MappingError> {
        self.get(key).map(|node| node.table(key)).transpose()
    }

    /// A list under a key; empty where there is none.
    pub(crate) fn list(&self, key: &str) -> Result<Vec<Node<'s>>, MappingError> {
        self.get(key).map_or(Ok(Vec::new()), |node| node.list(key))
    }
}

impl<'s> Node<'s> {
    /// An error at the value's place.
    pub(crate) fn error(&self, message: impl Into<String>) -> MappingError {
        self.source.error(self.at, message)
    }

    fn expected(&self, what: &str, wanted: &str) -> MappingError {
        self.error(format!("`{what}` must be {wanted}, not {}", self.value.type_str()))
    }

    /// As text.
    pub(crate) fn text(&self, what: &str) -> Result<&'s str, MappingError> {
        self.value.as_str().ok_or_else(|| self.expected(what, "text in quotes"))
    }

    /// As a table.
    pub(crate) fn table(&self, what: &str) -> Result<Table<'s>, MappingError> {
        let entries = self.value.as_table().ok_or_else(|| self.expected(what, "a table"))?;
        Ok(Table { source: self.source, entries, at: self.at })
    }

    /// As a table, where it is one.
    pub(crate) fn as_table(&self) -> Option<Table<'s>> {
        self.value.as_table().map(|entries| Table { source: self.source, entries, at: self.at })
    }

    /// As a list.
    pub(crate) fn list(&self, what: &str) -> Result<Vec<Node<'s>>, MappingError> {
        let items = self.value.as_array().ok_or_else(|| self.expected(what, "a list"))?;
        Ok(items
            .iter()
            .map(|item| Node { source: self.source, value: item.get_ref(), at: item.span().start })
            .collect())
    }

    /// Text, number or flag, as it is written.
    pub(crate) fn scalar(&self, what: &str) -> Result<String, MappingError> {
        match self.value {
            DeValue::String(text) => Ok(text.clone().into_owned()),
            DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
            DeValue::Float(number) => Ok(number.as_str().to_owned()),
            DeValue::Boolean(flag) => Ok(flag.to_string()),
            _ => Err(self.expected(what, "text, a number, true or false")),
        }
    }

    /// A whole number of at least `least`.
    pub(crate) fn count(&self, what: &str, least: u32) -> Result<u32, MappingError> {
        self.value
            .as_integer()
            .filter(|number| number.radix() == 10)
            .and_then(|number| number.as_str().parse::<u32>().ok())
            .filter(|number| *number >= least)
            .ok_or_else(|| self.error(format!("`{what}` must be a whole number of at least {least}")))
    }
}
