//! Rows by the exact content of their columns, for comparison with the records that they came from.

use std::collections::VecDeque;
use std::fs::File;

use datafusion::arrow::array::{ArrayRef, AsArray, PrimitiveArray, RecordBatch, new_null_array};
use datafusion::arrow::datatypes::{UInt32Type, UInt64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use millstream_schemas::{RecordSchema, Value};
use xxhash_rust::xxh3::xxh3_64;

use crate::columns::{Column, all};
use crate::error::WarehouseError;
use crate::files::{DataFile, TableFiles};
use crate::tables::table_schema;
use crate::warehouse::Warehouse;

/// Rows decoded at a time.
const ROWS_AT_A_TIME: usize = 1_024;

/// A row: the offset it came from, and a hash of each column's exact content in the order of the schema's fields. Equal values have
/// equal hashes, in a file or not.
pub type Cells = (u64, Vec<u64>);

/// The rows of one partition in one table, in the order in which they lie in its files.
pub struct ExactRows {
    schema: &'static RecordSchema,
    partition: u32,
    files: std::vec::IntoIter<DataFile>,
    open: Option<(DataFile, ParquetRecordBatchReader)>,
    decoded: VecDeque<Cells>,
}

impl Warehouse {
    /// The rows of one partition of a record's table.
    ///
    /// # Errors
    /// Where the table's folder cannot be read, or its files contradict each other.
    pub fn exact_rows(
        &self,
        schema: &'static RecordSchema,
        table: &str,
        partition: u32,
    ) -> Result<ExactRows, WarehouseError> {
        let mut files = TableFiles::list(&self.folder().join(table))?.current;
        files.retain(|file| file.range.partition == partition);
        Ok(ExactRows { schema, partition, files: files.into_iter(), open: None, decoded: VecDeque::new() })
    }
}

impl Warehouse {
    /// Rows of a table that [`Warehouse::exact_rows`] gives for none of the topic's partitions, as partition and offset, `most` at most: they
    /// lie in a file of another partition, or of one that there is not.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn strays(&self, table: &str, partitions: u32, most: usize) -> Result<Vec<(u32, u64)>, WarehouseError> {
        let mut strays = Vec::new();
        for file in TableFiles::list(&self.folder().join(table))?.current {
            let parquet = File::open(&file.path).map_err(WarehouseError::io(&file.path))?;
            let failed = |error: ArrowError| WarehouseError::parquet(&file.path)(error.into());
            let reader = ParquetRecordBatchReaderBuilder::try_new(parquet).and_then(|builder| {
                let columns = ProjectionMask::columns(builder.parquet_schema(), ["log_partition", "log_offset"]);
                builder.with_projection(columns).with_batch_size(ROWS_AT_A_TIME).build()
            });
            for batch in reader.map_err(WarehouseError::parquet(&file.path))? {
                let batch = batch.map_err(failed)?;
                let (of, offsets) = places(&batch).map_err(failed)?;
                let is_stray = |of: u32| of >= partitions || of != file.range.partition;
                let places = of.values().iter().zip(offsets.values()).filter(|(of, _)| is_stray(**of));
                strays.extend(places.map(|(of, offset)| (*of, *offset)).take(most - strays.len()));
            }
        }
        Ok(strays)
    }
}

/// Where the rows of a batch come from: partitions and offsets.
fn places(batch: &RecordBatch) -> Result<(&PrimitiveArray<UInt32Type>, &PrimitiveArray<UInt64Type>), ArrowError> {
    let other = || ArrowError::SchemaError("log_partition and log_offset are missing, or of other types".to_owned());
    let column = |name: &str| batch.column_by_name(name).ok_or_else(other);
    let partitions = column("log_partition")?.as_primitive_opt::<UInt32Type>().ok_or_else(other)?;
    let offsets = column("log_offset")?.as_primitive_opt::<UInt64Type>().ok_or_else(other)?;
    Ok((partitions, offsets))
}

impl ExactRows {
    /// The next rows, up to the first of offset `end` or later.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn below(&mut self, end: u64) -> Result<Vec<Cells>, WarehouseError> {
        let mut rows = Vec::new();
        loop {
            let next = self.decoded.front().map(|(offset, _)| *offset);
            match next {
                Some(offset) if offset >= end => break,
                Some(_) => rows.extend(self.decoded.pop_front()),
                None if self.decode_more()? => {}
                None => break,
            }
        }
        rows.sort_by_key(|(offset, _)| *offset);
        Ok(rows)
    }

    /// Decodes some more rows; false at the end of the last file.
    fn decode_more(&mut self) -> Result<bool, WarehouseError> {
        let Some((file, reader)) = &mut self.open else {
            let Some(file) = self.files.next() else { return Ok(false) };
            let parquet = File::open(&file.path).map_err(WarehouseError::io(&file.path))?;
            let reader = ParquetRecordBatchReaderBuilder::try_new(parquet)
                .and_then(|builder| builder.with_batch_size(ROWS_AT_A_TIME).build())
                .map_err(WarehouseError::parquet(&file.path))?;
            self.open = Some((file, reader));
            return Ok(true);
        };
        let failed = |error: ArrowError| WarehouseError::parquet(&file.path)(error.into());
        match reader.next() {
            None => self.open = None,
            Some(batch) => {
                let cells = batch.and_then(|batch| cells(self.schema, self.partition, &batch)).map_err(failed)?;
                self.decoded.extend(cells);
            }
        }
        Ok(true)
    }
}

/// What the rows of these records would be: offsets and values.
///
/// # Errors
/// Where a value does not fit its column.
pub fn cells_of(schema: &'static RecordSchema, rows: &[(u64, &[Value<'_>])]) -> Result<Vec<Cells>, WarehouseError> {
    let conflict = |what: String| WarehouseError::Conflict(format!("{}: {what}", schema.name));
    let mut columns = all(schema).map_err(|error| conflict(error.to_string()))?;
    for (_, values) in rows {
        for (column, value) in columns.iter_mut().zip(*values) {
            column.append(value).map_err(conflict)?;
        }
    }
    let arrays = columns.iter_mut().map(Column::finish).collect::<Result<Vec<_>, _>>();
    let hashes = arrays.and_then(|arrays| arrays.iter().map(hashes).collect::<Result<Vec<Vec<u64>>, ArrowError>>());
    let hashes = hashes.map_err(|error| conflict(error.to_string()))?;
    Ok(rows.iter().enumerate().map(|(row, (offset, _))| (*offset, at(&hashes, row))).collect())
}

/// A batch's rows, those of another partition left out.
fn cells(schema: &RecordSchema, partition: u32, batch: &RecordBatch) -> Result<Vec<Cells>, ArrowError> {
    let expected = table_schema(schema);
    let column = |name: &str| -> Result<ArrayRef, ArrowError> {
        match batch.column_by_name(name) {
            Some(column) => Ok(column.clone()),
            // A file that is older than the column.
            None => Ok(new_null_array(expected.field_with_name(name)?.data_type(), batch.num_rows())),
        }
    };
    let hashes: Vec<Vec<u64>> =
        schema.fields.iter().map(|field| hashes(&column(field.name)?)).collect::<Result<Vec<_>, ArrowError>>()?;
    let (partitions, offsets) = places(batch)?;
    let here = (0..batch.num_rows()).filter(|row| partitions.value(*row) == partition);
    Ok(here.map(|row| (offsets.value(row), at(&hashes, row))).collect())
}

fn at(columns: &[Vec<u64>], row: usize) -> Vec<u64> {
    columns.iter().filter_map(|column| column.get(row).copied()).collect()
}

/// A hash of each value, over Arrow's row format: it has one encoding for each value.
fn hashes(array: &ArrayRef) -> Result<Vec<u64>, ArrowError> {
    let converter = RowConverter::new(vec![SortField::new(array.data_type().clone())])?;
    let rows = converter.convert_columns(std::slice::from_ref(array))?;
    Ok(rows.iter().map(|row| xxh3_64(row.as_ref())).collect())
}
