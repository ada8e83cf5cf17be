//! Writes a Parquet file so that it is there whole or not at all.

use std::fs::{self, File};
use std::path::Path;

use datafusion::arrow::array::RecordBatch;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::metadata::KeyValue;
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use datafusion::parquet::file::reader::{FileReader, SerializedFileReader};
use datafusion::parquet::schema::types::ColumnPath;
use millstream_schemas::{FieldType, RecordSchema};

use crate::error::WarehouseError;
use crate::files::{Range, UNFINISHED, sync_folder};
use crate::tables::table_schema;

/// Under this key a file's metadata keeps the token of its batch.
const TOKEN: &str = "millstream.batch";
/// Rows of a row group at most.
const ROW_GROUP_ROWS: usize = 131_072;

/// Writes `batches` as the file of `range` in `folder`. A file of that name is replaced.
pub(crate) fn write_file(
    folder: &Path,
    range: Range,
    token: Option<&str>,
    record: &RecordSchema,
    batches: &mut dyn Iterator<Item = Result<RecordBatch, WarehouseError>>,
) -> Result<(), WarehouseError> {
    fs::create_dir_all(folder).map_err(WarehouseError::io(folder))?;
    let unfinished = folder.join(format!("{UNFINISHED}{}-{}", std::process::id(), range.file_name()));
    let written = write_and_sync(&unfinished, token, record, batches);
    if let Err(error) = written {
        // What was written is of no use; that it cannot be removed either is not the news.
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
    let path = folder.join(range.file_name());
    fs::rename(&unfinished, &path).map_err(WarehouseError::io(&path))?;
    sync_folder(folder)
}

fn write_and_sync(
    path: &Path,
    token: Option<&str>,
    record: &RecordSchema,
    batches: &mut dyn Iterator<Item = Result<RecordBatch, WarehouseError>>,
) -> Result<(), WarehouseError> {
    let file = File::create(path).map_err(WarehouseError::io(path))?;
    let level = ZstdLevel::try_new(1).map_err(WarehouseError::parquet(path))?;
    let metadata = token.map(|token| vec![KeyValue::new(TOKEN.to_owned(), token.to_owned())]);
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_dictionary_enabled(false)
        .set_key_value_metadata(metadata);
    // Dictionaries pay where few values repeat; elsewhere Zstandard finds what there is to find, and writing is faster.
    for field in record.fields.iter().filter(|field| matches!(field.ty, FieldType::Symbol)) {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(field.name), true);
    }
    let properties = properties.build();
    let mut writer =
        ArrowWriter::try_new(file, table_schema(record), Some(properties)).map_err(WarehouseError::parquet(path))?;
    for batch in batches {
        writer.write(&batch?).map_err(WarehouseError::parquet(path))?;
    }
    let file = writer.into_inner().map_err(WarehouseError::parquet(path))?;
    file.sync_all().map_err(WarehouseError::io(path))
}

/// The token of the batch in a file, if it was written as one batch, and its number of rows.
pub(crate) fn token_and_rows(path: &Path) -> Result<(Option<String>, u64), WarehouseError> {
    let file = File::open(path).map_err(WarehouseError::io(path))?;
    let reader = SerializedFileReader::new(file).map_err(WarehouseError::parquet(path))?;
    let metadata = reader.metadata().file_metadata();
    let token = metadata
        .key_value_metadata()
        .and_then(|pairs| pairs.iter().find(|pair| pair.key == TOKEN))
        .and_then(|pair| pair.value.clone());
    Ok((token, u64::try_from(metadata.num_rows()).unwrap_or(0)))
}
