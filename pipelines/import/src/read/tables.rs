//! Tables that the caller opens: Parquet, whose reader is too heavy to be linked here.

use std::path::Path;

use super::{InputFile, Row, Rows, Step};
use crate::error::ImportError;
use crate::mapping::{Columns, Mapping};

/// An opened table.
pub struct TableRows {
    /// Its column names.
    pub columns: Vec<String>,
    /// Its rows in order, a text for each column; `None` is null. Times are to be written as ISO 8601, decimals with all digits. An
    /// error ends the import.
    pub rows: Box<dyn Iterator<Item = Result<Vec<Option<String>>, String>>>,
}

/// Opens a table, or says why not.
pub type OpenTable<'a> = dyn Fn(&Path) -> Result<TableRows, String> + 'a;

/// Rows of an opened table.
pub(crate) struct OpenedTable {
    file: InputFile,
    table: TableRows,
    binding: Vec<usize>,
    row: u64,
}

impl OpenedTable {
    /// Opens a table and finds the columns the mapping names.
    pub(crate) fn open(file: &InputFile, mapping: &Mapping, open: &OpenTable<'_>) -> Result<Self, ImportError> {
        let table = open(&file.path).map_err(|error| file.error(0, error))?;
        let binding = mapping.columns.bind(&file.name, &table.columns)?;
        Ok(Self { file: file.clone(), table, binding, row: 0 })
    }
}

impl Rows for OpenedTable {
    fn next(&mut self, row: &mut Row) -> Result<Step, ImportError> {
        row.clear();
        let Some(cells) = self.table.rows.next() else { return Ok(Step::End) };
        self.row += 1;
        row.line = self.row;
        let cells = cells.map_err(|error| self.file.error(self.row, format!("{error}; nothing has been written")))?;
        for cell in &cells {
            row.push_cell(cell.as_deref().unwrap_or(""));
        }
        // A binary row has no text of its own; its cells by name are what can be kept of it.
        let object: serde_json::Map<String, serde_json::Value> =
            self.table.columns.iter().cloned().zip(cells.into_iter().map(serde_json::Value::from)).collect();
        row.raw = serde_json::Value::Object(object).to_string().into_bytes();
        Ok(Step::Row)
    }

    fn binding(&self) -> &[usize] {
        &self.binding
    }

    fn bytes_read(&self) -> u64 {
        0
    }

    fn finish(&self, _columns: &Columns) -> Result<(), ImportError> {
        Ok(())
    }
}
