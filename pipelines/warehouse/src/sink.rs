//! Parquet files as a sink.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, UInt32Builder, UInt64Builder};
use millstream_deliver::{BatchId, Holding, Row, Sink, SinkError, delivered_records};
use millstream_schemas::RecordSchema;
use parking_lot::Mutex;

use crate::columns::{Column, all, size_bytes};
use crate::compact::{CompactLimits, compact_one};
use crate::error::WarehouseError;
use crate::files::{Range, TableFiles, UNFINISHED, sync_folder};
use crate::tables::table_schema;
use crate::write::{token_and_rows, write_file};

/// The folder with a file for each table that says of which topic its rows are. Offsets alone do not: a topic that is made anew has
/// the same.
const TOPICS: &str = ".topics";

/// Delivers exact batches as Parquet files.
#[derive(Debug)]
pub struct ParquetSink {
    folder: PathBuf,
    limits: CompactLimits,
    /// Housekeeping is for one at a time.
    keeping_house: Mutex<()>,
}

/// Rows of one batch, column by column.
pub struct ColumnRows {
    schema: &'static RecordSchema,
    columns: Result<Vec<Column>, String>,
    log_partition: UInt32Builder,
    log_offset: UInt64Builder,
    size_bytes: usize,
    /// The finished columns, kept in case the insert is tried again.
    finished: Option<RecordBatch>,
}

impl ParquetSink {
    /// A sink that keeps its tables in `folder`, which is made when the first row comes.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self::with_limits(folder, CompactLimits::default())
    }

    /// The same with other limits of compaction.
    pub fn with_limits(folder: impl Into<PathBuf>, limits: CompactLimits) -> Self {
        Self { folder: folder.into(), limits, keeping_house: Mutex::new(()) }
    }

    /// The folder of the tables.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the table's files are of the batch's topic; true also where none says so yet.
    fn check_topic(&self, batch: &BatchId) -> Result<bool, WarehouseError> {
        // A batch from before topics had identities: its name stands for it.
        if batch.topic_id == batch.topic {
            return Ok(true);
        }
        let path = self.folder.join(TOPICS).join(batch.table);
        match fs::read_to_string(&path) {
            Ok(topic_id) if topic_id == batch.topic_id => Ok(true),
            Ok(former) => Err(WarehouseError::Conflict(format!(
                "the files in {} are of topic {} with the identity {former}, {batch} is of {}: the topic, or its log, was made anew. \
                 Move the warehouse's folder away, or give the new log a folder of its own",
                self.folder.join(batch.table).display(),
                batch.topic,
                batch.topic_id
            ))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(WarehouseError::io(&path)(error)),
        }
    }

    /// Notes of which topic the table's files are.
    fn note_topic(&self, batch: &BatchId) -> Result<(), WarehouseError> {
        let folder = self.folder.join(TOPICS);
        let unfinished = folder.join(format!("{UNFINISHED}{}-{}", std::process::id(), batch.table));
        let write = || {
            fs::create_dir_all(&folder)?;
            let mut file = fs::File::create(&unfinished)?;
            file.write_all(batch.topic_id.as_bytes())?;
            file.sync_all()?;
            fs::rename(&unfinished, folder.join(batch.table))
        };
        write().map_err(WarehouseError::io(&folder))?;
        sync_folder(&folder)
    }

    /// What is there of the batch, by file names; the file of exactly this batch must hold exactly this batch.
    fn look(&self, batch: &BatchId) -> Result<Holding, WarehouseError> {
        if !self.check_topic(batch)? {
            self.note_topic(batch)?;
        }
        let wanted = Range { partition: batch.partition, first: batch.first, last: batch.last };
        let files = TableFiles::list(&self.folder.join(batch.table))?;
        let Some(found) = files.current.iter().find(|file| file.range.overlaps(wanted)) else {
            return Ok(Holding::Nothing);
        };
        if found.range == wanted {
            let (token, rows) = token_and_rows(&found.path)?;
            if token.is_some_and(|token| token != batch.token()) || rows != batch.rows {
                return Err(self.foreign(&found.path, batch));
            }
            return Ok(Holding::Everything);
        }
        // A wider file was merged from files that were batches once, this one among them.
        if found.range.contains(wanted) { Ok(Holding::Everything) } else { Err(self.foreign(&found.path, batch)) }
    }

    fn foreign(&self, path: &Path, batch: &BatchId) -> WarehouseError {
        WarehouseError::Conflict(format!(
            "{} holds other rows than {batch}: the warehouse in {} belongs to another log; move it away, or give this log a \
             folder of its own",
            path.display(),
            self.folder.display()
        ))
    }
}

impl Sink for ParquetSink {
    type Rows = ColumnRows;

    fn begin(&self, schema: &'static RecordSchema) -> ColumnRows {
        ColumnRows {
            schema,
            columns: all(schema).map_err(|error| error.to_string()),
            log_partition: UInt32Builder::new(),
            log_offset: UInt64Builder::new(),
            size_bytes: 0,
            finished: None,
        }
    }

    fn add(&self, rows: &mut ColumnRows, row: &Row<'_>) -> Result<(), SinkError> {
        rows.add(row).map_err(SinkError::Conflict)
    }

    fn size_bytes(&self, rows: &ColumnRows) -> usize {
        rows.size_bytes
    }

    fn insert(&self, batch: &BatchId, rows: &mut ColumnRows) -> Result<(), SinkError> {
        if self.look(batch)? == Holding::Everything {
            return Ok(());
        }
        let columns = rows.finish().map_err(SinkError::Conflict)?;
        let range = Range { partition: batch.partition, first: batch.first, last: batch.last };
        let folder = self.folder.join(batch.table);
        write_file(&folder, range, Some(&batch.token()), rows.schema, &mut std::iter::once(Ok(columns)))?;
        Ok(())
    }

    fn holds(&self, batch: &BatchId) -> Result<Holding, SinkError> {
        Ok(self.look(batch)?)
    }

    fn trusts_token_ms(&self) -> i64 {
        // A file's name is never forgotten.
        i64::MAX
    }

    /// Merges small files of one table, or removes what merging left behind: one piece of work a call.
    fn idle(&self) -> Result<(), SinkError> {
        let Some(_alone) = self.keeping_house.try_lock() else { return Ok(()) };
        for (schema, table) in delivered_records() {
            if compact_one(&self.folder.join(table), schema, &self.limits)? {
                break;
            }
        }
        Ok(())
    }
}

impl ColumnRows {
    fn add(&mut self, row: &Row<'_>) -> Result<(), String> {
        let columns = self.columns.as_mut().map_err(|error| error.clone())?;
        if row.values.len() != columns.len() {
            return Err(format!(
                "{} values for the {} columns of {}",
                row.values.len(),
                columns.len(),
                self.schema.name
            ));
        }
        for ((column, value), field) in columns.iter_mut().zip(row.values).zip(self.schema.fields) {
            column.append(value).map_err(|why| format!("field {}: {why}", field.name))?;
            self.size_bytes += size_bytes(value);
        }
        self.log_partition.append_value(row.log_partition);
        self.log_offset.append_value(row.log_offset);
        self.size_bytes += 12;
        Ok(())
    }

    fn finish(&mut self) -> Result<RecordBatch, String> {
        if let Some(finished) = &self.finished {
            return Ok(finished.clone());
        }
        let columns = self.columns.as_mut().map_err(|error| error.clone())?;
        let mut arrays = columns
            .iter_mut()
            .map(Column::finish)
            .collect::<Result<Vec<ArrayRef>, _>>()
            .map_err(|error| error.to_string())?;
        arrays.push(Arc::new(self.log_partition.finish()));
        arrays.push(Arc::new(self.log_offset.finish()));
        let batch = RecordBatch::try_new(table_schema(self.schema), arrays).map_err(|error| error.to_string())?;
        Ok(self.finished.insert(batch).clone())
    }
}
