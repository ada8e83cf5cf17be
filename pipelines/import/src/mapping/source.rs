//! How the files are written.

use super::text::Table;
use crate::error::MappingError;

/// A file format; gzip is recognised by content, whatever the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Csv,
    JsonLines,
    Parquet,
}

/// `[source]`.
#[derive(Debug, Clone)]
pub(crate) struct SourceSpec {
    /// Where it is not said, the file's extension says it.
    pub(crate) format: Option<Format>,
    pub(crate) delimiter: u8,
    /// Columns are padded with the delimiter: a run of it is one.
    pub(crate) padded: bool,
    /// None: quotes are ordinary characters.
    pub(crate) quote: Option<u8>,
    /// Column names; where there are none, the first row has them.
    pub(crate) columns: Option<Vec<String>>,
    /// Whether the first row is a header (skipped where `columns` names them).
    pub(crate) header: bool,
}

impl SourceSpec {
    /// Reads `[source]`; all of it has defaults.
    pub(crate) fn read(table: Option<Table<'_>>) -> Result<Self, MappingError> {
        let mut spec =
            Self { format: None, delimiter: b',', padded: false, quote: Some(b'"'), columns: None, header: true };
        let Some(table) = table else { return Ok(spec) };
        table.only(&["format", "delimiter", "padded", "quote", "columns", "header"])?;
        if let Some(node) = table.get("format") {
            spec.format = Some(match node.text("format")? {
                "csv" => Format::Csv,
                "jsonl" => Format::JsonLines,
                "parquet" => Format::Parquet,
                other => return Err(node.error(format!("`format` is csv, jsonl or parquet, not `{other}`"))),
            });
        }
        if let Some(node) = table.get("delimiter") {
            let [byte] = node.text("delimiter")?.as_bytes() else {
                return Err(node.error("`delimiter` is one ASCII character, such as \",\" or \"\\t\""));
            };
            spec.delimiter = *byte;
        }
        spec.padded = table.flag("padded")?.unwrap_or(false);
        if let Some(node) = table.get("quote") {
            spec.quote = match node.text("quote")?.as_bytes() {
                [] => None,
                [byte] => Some(*byte),
                _ => return Err(node.error("`quote` is one ASCII character, or empty for none")),
            };
        }
        if table.get("columns").is_some() {
            let names = table.list("columns")?.into_iter().map(|node| node.text("columns").map(str::to_owned));
            spec.columns = Some(names.collect::<Result<_, _>>()?);
        }
        spec.header = table.flag("header")?.unwrap_or(spec.columns.is_none());
        if !spec.header && spec.columns.is_none() {
            return Err(table.error("without a header the mapping must name the `columns`, in their order"));
        }
        Ok(spec)
    }
}
