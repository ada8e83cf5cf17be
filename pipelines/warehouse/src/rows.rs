//! Any Parquet file as rows of text, for imports: they need not link Arrow.

use std::fs::File;
use std::path::{Path, PathBuf};

use datafusion::parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::error::WarehouseError;
use crate::warehouse::texts;

/// Rows decoded at a time: bounds the memory of a reader whatever the file's row groups.
const ROWS_AT_A_TIME: usize = 1_024;

/// An opened Parquet file: an iterator over its rows, in the order of the file, with a text for each column. Null is `None`; times
/// are ISO 8601, decimals have all their digits, bytes are hexadecimal. The first error is the last item.
pub struct ParquetRows {
    columns: Vec<String>,
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    decoded: std::vec::IntoIter<Vec<Option<String>>>,
    failed: bool,
}

/// Opens a Parquet file.
pub fn open_parquet(path: &Path) -> Result<ParquetRows, WarehouseError> {
    let file = File::open(path).map_err(WarehouseError::io(path))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(WarehouseError::parquet(path))?;
    let columns = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
    let reader = builder.with_batch_size(ROWS_AT_A_TIME).build().map_err(WarehouseError::parquet(path))?;
    Ok(ParquetRows { columns, path: path.to_owned(), reader, decoded: Vec::new().into_iter(), failed: false })
}

impl ParquetRows {
    /// Names of the columns, in order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }
}

impl Iterator for ParquetRows {
    type Item = Result<Vec<Option<String>>, WarehouseError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.decoded.next() {
                return Some(Ok(row));
            }
            if self.failed {
                return None;
            }
            match self.reader.next()?.and_then(|batch| texts(&batch)) {
                Ok(rows) => self.decoded = rows.into_iter(),
                Err(error) => {
                    self.failed = true;
                    return Some(Err(WarehouseError::parquet(&self.path)(error.into())));
                }
            }
        }
    }
}
