//! Questions in SQL.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions, StringBuilder};
use datafusion::arrow::csv::WriterBuilder as CsvWriterBuilder;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::WriterBuilder as JsonWriterBuilder;
use datafusion::arrow::json::writer::JsonArray;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::arrow::util::pretty::pretty_format_batches_with_options;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use millstream_deliver::QueryFormat;

use crate::error::WarehouseError;
use crate::session::session;

/// RFC 3339 in UTC, with milliseconds: as ClickHouse writes them when asked for ISO.
const TIMESTAMP: &str = "%Y-%m-%dT%H:%M:%S%.3fZ";
/// Rows that a table of boxes shows at most.
const TABLE_ROWS: usize = 10_000;

/// The embedded warehouse of one folder.
///
/// Its methods block and run the query on threads of their own: inside an async runtime call them from a blocking task.
#[derive(Clone, Debug)]
pub struct Warehouse {
    folder: PathBuf,
}

impl Warehouse {
    /// The warehouse in `folder`; one that is not there yet has empty tables.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The folder of the tables.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs one SELECT over the rows that are there now and writes its answer; gives back the number of rows. A statement that
    /// would change something is refused.
    pub fn query(&self, sql: &str, format: QueryFormat, out: &mut dyn Write) -> Result<u64, WarehouseError> {
        self.block_on(async {
            let mut answer = self.stream(sql).await?;
            match format {
                QueryFormat::Table => table(&mut answer, out).await,
                QueryFormat::Csv => csv(&mut answer, out).await,
                QueryFormat::Json => json(&mut answer, out).await,
            }
        })
    }

    /// The answer as text, row by row; null is `None`. For small answers: it is held in memory.
    pub fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, WarehouseError> {
        self.block_on(async {
            let mut answer = self.stream(sql).await?;
            let mut rows = Vec::new();
            while let Some(batch) = next(&mut answer).await? {
                rows.extend(texts(&batch).map_err(DataFusionError::from)?);
            }
            Ok(rows)
        })
    }

    async fn stream(&self, sql: &str) -> Result<SendableRecordBatchStream, WarehouseError> {
        let context = session(&self.folder).await?;
        let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        Ok(context.sql_with_options(sql, options).await?.execute_stream().await?)
    }

    fn block_on<T>(&self, work: impl Future<Output = Result<T, WarehouseError>>) -> Result<T, WarehouseError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(WarehouseError::io(&self.folder))?;
        runtime.block_on(work)
    }
}

/// The next piece of an answer. Written out because nothing else here needs a crate of stream adaptors.
async fn next(answer: &mut SendableRecordBatchStream) -> Result<Option<RecordBatch>, WarehouseError> {
    let batch = std::future::poll_fn(|context| answer.as_mut().poll_next(context)).await;
    Ok(batch.transpose()?)
}

async fn table(answer: &mut SendableRecordBatchStream, out: &mut dyn Write) -> Result<u64, WarehouseError> {
    let (mut shown, mut rows) = (vec![RecordBatch::new_empty(answer.schema())], 0);
    while let Some(batch) = next(answer).await? {
        let room = TABLE_ROWS.saturating_sub(rows);
        rows += batch.num_rows();
        if room > 0 {
            shown.push(batch.slice(0, batch.num_rows().min(room)));
        }
    }
    let options = FormatOptions::new().with_display_error(true).with_timestamp_tz_format(Some(TIMESTAMP));
    let boxes = pretty_format_batches_with_options(&shown, &options).map_err(DataFusionError::from)?;
    writeln!(out, "{boxes}").map_err(WarehouseError::Output)?;
    if rows > TABLE_ROWS {
        let more = rows - TABLE_ROWS;
        writeln!(out, "{more} more rows; csv and json show all").map_err(WarehouseError::Output)?;
    }
    Ok(rows as u64)
}

async fn csv(answer: &mut SendableRecordBatchStream, out: &mut dyn Write) -> Result<u64, WarehouseError> {
    let builder = CsvWriterBuilder::new().with_header(true).with_timestamp_tz_format(TIMESTAMP.to_owned());
    let mut writer = builder.build(out);
    // Names come even where no row does.
    let names = flat(&RecordBatch::new_empty(answer.schema())).map_err(DataFusionError::from)?;
    writer.write(&names).map_err(DataFusionError::from)?;
    let mut rows = 0;
    while let Some(batch) = next(answer).await? {
        rows += batch.num_rows() as u64;
        writer.write(&flat(&batch).map_err(DataFusionError::from)?).map_err(DataFusionError::from)?;
    }
    Ok(rows)
}

async fn json(answer: &mut SendableRecordBatchStream, out: &mut dyn Write) -> Result<u64, WarehouseError> {
    let builder = JsonWriterBuilder::new().with_explicit_nulls(true).with_timestamp_tz_format(TIMESTAMP.to_owned());
    let mut writer = builder.build::<_, JsonArray>(&mut *out);
    let mut rows = 0;
    while let Some(batch) = next(answer).await? {
        rows += batch.num_rows() as u64;
        writer.write(&batch).map_err(DataFusionError::from)?;
    }
    writer.finish().map_err(DataFusionError::from)?;
    writeln!(out).map_err(WarehouseError::Output)?;
    Ok(rows)
}

/// The batch with lists and nested records as text: CSV has no other way to hold them.
fn flat(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let options = FormatOptions::new().with_timestamp_tz_format(Some(TIMESTAMP));
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if !field.data_type().is_nested() {
            fields.push(field.as_ref().clone());
            columns.push(column.clone());
            continue;
        }
        let formatter = ArrayFormatter::try_new(column, &options)?;
        let mut texts = StringBuilder::new();
        for row in 0..batch.num_rows() {
            texts.append_option((!column.is_null(row)).then(|| formatter.value(row).try_to_string()).transpose()?);
        }
        fields.push(Field::new(field.name(), DataType::Utf8, true));
        columns.push(Arc::new(texts.finish()));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
}

/// A batch's rows as text.
pub(crate) fn texts(batch: &RecordBatch) -> Result<Vec<Vec<Option<String>>>, ArrowError> {
    let options = FormatOptions::new().with_timestamp_tz_format(Some(TIMESTAMP));
    let columns = batch
        .columns()
        .iter()
        .map(|column| Ok((column, ArrayFormatter::try_new(column, &options)?)))
        .collect::<Result<Vec<_>, ArrowError>>()?;
    (0..batch.num_rows())
        .map(|row| {
            columns
                .iter()
                .map(
                    |(column, formatter)| {
                        if column.is_null(row) { Ok(None) } else { formatter.value(row).try_to_string().map(Some) }
                    },
                )
                .collect()
        })
        .collect()
}
