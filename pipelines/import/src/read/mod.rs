//! Files as rows: CSV, JSON lines, and tables that the caller opens (Parquet). Gzip is recognised by content.

mod csv;
mod json_lines;
mod open;
mod tables;

use std::path::{Path, PathBuf};

use crate::error::ImportError;
use crate::mapping::{Columns, Format, Mapping};

pub(crate) use open::size_bytes;
pub use tables::{OpenTable, TableRows};

/// One row, reused from row to row.
#[derive(Debug, Default)]
pub(crate) struct Row {
    /// The line it begins on, from 1 (a table's row number).
    pub(crate) line: u64,
    /// Its original bytes.
    pub(crate) raw: Vec<u8>,
    text: String,
    ends: Vec<usize>,
}

impl Row {
    fn clear(&mut self) {
        self.raw.clear();
        self.text.clear();
        self.ends.clear();
    }

    fn push_cell(&mut self, cell: &str) {
        self.text.push_str(cell);
        self.ends.push(self.text.len());
    }

    fn cell(&self, at: usize) -> &str {
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.ends.get(at).and_then(|end| self.text.get(start..*end)).unwrap_or("")
    }
}

/// A row seen through a mapping.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cells<'r> {
    file: &'r str,
    row: &'r Row,
    binding: &'r [usize],
}

impl<'r> Cells<'r> {
    /// `binding` has the position in the row of each column the mapping names.
    pub(crate) fn new(file: &'r str, row: &'r Row, binding: &'r [usize]) -> Self {
        Self { file, row, binding }
    }

    /// The file's name.
    pub(crate) fn file(&self) -> &'r str {
        self.file
    }

    /// The line the row begins on.
    pub(crate) fn line(&self) -> u64 {
        self.row.line
    }

    /// The cell under a column; empty where the row has none.
    pub(crate) fn get(&self, column: crate::mapping::ColumnId) -> &'r str {
        self.binding.get(column.0).map_or("", |at| self.row.cell(*at))
    }
}

/// What a source gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The row is filled.
    Row,
    /// The row's line and raw bytes are filled, but it cannot be read.
    Bad { reason: &'static str, detail: String },
    /// No more rows.
    End,
}

/// Gives the rows of one file.
pub(crate) trait Rows {
    /// The next row.
    fn next(&mut self, row: &mut Row) -> Result<Step, ImportError>;

    /// For each column the mapping names: where it is in a row.
    fn binding(&self) -> &[usize];

    /// Bytes read so far, as they lie on disk.
    fn bytes_read(&self) -> u64;

    /// After the last row: whether the columns the mapping names were there (where only the rows can tell).
    fn finish(&self, columns: &Columns) -> Result<(), ImportError>;
}

/// A file to import.
#[derive(Debug, Clone)]
pub(crate) struct InputFile {
    pub(crate) path: PathBuf,
    /// Its name without folders: what ids and records carry, so that moving the folder changes nothing.
    pub(crate) name: String,
}

impl InputFile {
    /// Names each file; refuses two of the same name.
    pub(crate) fn all(paths: &[PathBuf]) -> Result<Vec<Self>, ImportError> {
        let mut files: Vec<Self> = Vec::with_capacity(paths.len());
        for path in paths {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .ok_or_else(|| ImportError::Options(format!("{}: a file name must be valid UTF-8", path.display())))?;
            if files.iter().any(|file| file.name == name) {
                return Err(ImportError::Options(format!(
                    "two files are called {name}: event ids are made of file names, rename one or import them as two data sets"
                )));
            }
            files.push(Self { path: path.clone(), name: name.to_owned() });
        }
        if files.is_empty() {
            return Err(ImportError::Options("no files to import".to_owned()));
        }
        Ok(files)
    }

    /// An error in this file.
    pub(crate) fn error(&self, line: u64, message: impl Into<String>) -> ImportError {
        ImportError::File { file: self.path.display().to_string(), line, message: message.into() }
    }
}

/// Opens a file as the mapping says, or as its extension does.
pub(crate) fn open_rows<'a>(
    file: &InputFile,
    mapping: &Mapping,
    open_table: Option<&OpenTable<'a>>,
    record_limit_bytes: usize,
) -> Result<Box<dyn Rows + 'a>, ImportError> {
    let format = match mapping.source.format {
        Some(format) => format,
        None => by_extension(&file.path).ok_or_else(|| {
            file.error(0, "the extension does not tell the format; say `format` in the mapping's [source] (csv, jsonl or parquet)")
        })?,
    };
    Ok(match format {
        Format::Csv => Box::new(csv::CsvRows::open(file, mapping, record_limit_bytes)?),
        Format::JsonLines => Box::new(json_lines::JsonRows::open(file, mapping, record_limit_bytes)?),
        Format::Parquet => {
            let open = open_table.ok_or_else(|| file.error(0, "Parquet cannot be read here"))?;
            Box::new(tables::OpenedTable::open(file, mapping, open)?)
        }
    })
}

fn by_extension(path: &Path) -> Option<Format> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    match name.rsplit_once('.')?.1 {
        "csv" | "tsv" | "txt" | "psv" => Some(Format::Csv),
        "jsonl" | "ndjson" | "json" => Some(Format::JsonLines),
        "parquet" | "pq" => Some(Format::Parquet),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
