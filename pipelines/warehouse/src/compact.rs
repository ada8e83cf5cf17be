//! Small files become large ones.
//!
//! A merge takes neighbours of one partition and writes one file whose name spans them. From the rename on readers leave the
//! parts out, because they lie inside it; before it they do not see it. The parts are removed some minutes later, so that a query
//! that listed them before the merge still finds them.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use datafusion::arrow::array::{RecordBatch, new_null_array};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use millstream_deliver::delivered_records;
use millstream_schemas::RecordSchema;

use crate::error::WarehouseError;
use crate::files::{DataFile, Range, TableFiles, UNFINISHED, sync_folder};
use crate::tables::table_schema;
use crate::write::write_file;

/// When files are merged and removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactLimits {
    /// Neighbours that must be there for a merge. Larger merges less often; a row is rewritten about log(rows) times to this base.
    pub min_files: usize,
    /// Files from this size on, in bytes, are left alone. It also bounds how long one merge keeps a deliverer from its log.
    pub target_bytes: u64,
    /// How long parts stay after they were merged.
    pub keep_parts: Duration,
    /// How long a file may stay unfinished before it is taken for what a crash left behind.
    pub keep_unfinished: Duration,
}

impl Default for CompactLimits {
    fn default() -> Self {
        Self {
            min_files: 8,
            target_bytes: 16 << 20,
            keep_parts: Duration::from_secs(600),
            keep_unfinished: Duration::from_secs(3_600),
        }
    }
}

/// Size below which all files count as equally small, in bytes.
const SMALLEST_STEP_BYTES: u64 = 16 << 10;

/// Does one piece of work in a table's folder: merges one run of neighbours, or else removes what is no longer needed. False
/// where there was nothing to do.
pub(crate) fn compact_one(
    folder: &Path,
    record: &RecordSchema,
    limits: &CompactLimits,
) -> Result<bool, WarehouseError> {
    let files = TableFiles::list(folder)?;
    if let Some(run) = run_to_merge(&files.current, limits) {
        merge(folder, record, run)?;
        return Ok(true);
    }
    let parts = remove_old(files.superseded.iter().map(|file| file.path.as_path()), limits.keep_parts)?;
    Ok(parts + remove_unfinished(folder, limits.keep_unfinished)? > 0)
}

/// The first run of at least `min_files` neighbours of one partition, smallest files first, so that a merged file waits until it
/// has equals.
fn run_to_merge<'a>(files: &'a [DataFile], limits: &CompactLimits) -> Option<&'a [DataFile]> {
    let mut step = SMALLEST_STEP_BYTES.min(limits.target_bytes);
    loop {
        let mut from = 0;
        while let Some(first) = files.get(from) {
            let rest = files.get(from..).unwrap_or_default();
            let (mut length, mut bytes) = (0, 0);
            for file in rest {
                let fits = file.range.partition == first.range.partition
                    && file.size_bytes < step
                    && (length < limits.min_files || bytes + file.size_bytes <= limits.target_bytes);
                if !fits {
                    break;
                }
                length += 1;
                bytes += file.size_bytes;
            }
            if length >= limits.min_files.max(2) {
                return rest.get(..length);
            }
            from += length.max(1);
        }
        if step >= limits.target_bytes {
            return None;
        }
        step = (step * 8).min(limits.target_bytes);
    }
}

fn merge(folder: &Path, record: &RecordSchema, run: &[DataFile]) -> Result<(), WarehouseError> {
    let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(()) };
    let range = Range { partition: first.range.partition, first: first.range.first, last: last.range.last };
    let schema = table_schema(record);
    let mut batches = run.iter().flat_map(|file| match read(file, &schema) {
        Ok(batches) => batches,
        Err(error) => Box::new(std::iter::once(Err(error))) as Batches,
    });
    write_file(folder, range, None, record, &mut batches)?;
    tracing::debug!(folder = %folder.display(), files = run.len(), into = range.file_name(), "merged small files");
    Ok(())
}

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, WarehouseError>>>;

/// A file's rows with today's columns: those that an older file lacks are null.
fn read(file: &DataFile, schema: &SchemaRef) -> Result<Batches, WarehouseError> {
    let (path, schema) = (file.path.clone(), schema.clone());
    let opened = File::open(&path).map_err(WarehouseError::io(&path))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(opened)
        .and_then(|builder| builder.with_batch_size(8_192).build())
        .map_err(WarehouseError::parquet(&path))?;
    Ok(Box::new(reader.map(move |batch| {
        let conformed = batch.and_then(|batch| {
            let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
                Some(column) => column.clone(),
                None => new_null_array(field.data_type(), batch.num_rows()),
            });
            RecordBatch::try_new(schema.clone(), columns.collect())
        });
        conformed.map_err(|error| WarehouseError::parquet(&path)(error.into()))
    })))
}

fn remove_unfinished(folder: &Path, keep: Duration) -> Result<usize, WarehouseError> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(0) };
    let unfinished: Vec<_> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(UNFINISHED)))
        .map(|entry| entry.path())
        .collect();
    remove_old(unfinished.iter().map(|path| path.as_path()), keep)
}

/// Removes files that nobody wrote to for `keep`.
fn remove_old<'a>(paths: impl Iterator<Item = &'a Path>, keep: Duration) -> Result<usize, WarehouseError> {
    let mut removed = 0;
    for path in paths {
        let age = fs::metadata(path).and_then(|metadata| metadata.modified()).ok().and_then(|time| time.elapsed().ok());
        if age.is_some_and(|age| age >= keep) {
            fs::remove_file(path).map_err(WarehouseError::io(path))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Merges and removes until nothing is left to do: for tests and for a warehouse at rest.
pub fn compact(folder: &Path, limits: &CompactLimits) -> Result<(), WarehouseError> {
    for (record, table) in delivered_records() {
        let folder = folder.join(table);
        while compact_one(&folder, record, limits)? {}
        if folder.exists() {
            sync_folder(&folder)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(partition: u32, first: u64, size_bytes: u64) -> DataFile {
        let range = Range { partition, first, last: first };
        DataFile { range, path: range.file_name().into(), size_bytes }
    }

    fn limits() -> CompactLimits {
        CompactLimits { min_files: 3, target_bytes: 1 << 20, ..CompactLimits::default() }
    }

    #[test]
    fn neighbours_of_one_partition_are_merged() {
        let files: Vec<DataFile> =
            [(0, 0, 10), (0, 1, 10), (1, 0, 10), (1, 1, 10), (1, 2, 10)].map(|(p, o, s)| file(p, o, s)).into();
        let run = run_to_merge(&files, &limits()).unwrap();
        assert_eq!((run.len(), run[0].range.partition), (3, 1));
    }

    #[test]
    fn a_large_file_between_small_ones_parts_them() {
        let files: Vec<DataFile> =
            [(0, 0, 10), (0, 1, 10), (0, 2, 2 << 20), (0, 3, 10), (0, 4, 10)].map(|(p, o, s)| file(p, o, s)).into();
        assert!(run_to_merge(&files, &limits()).is_none());
    }

    #[test]
    fn a_merged_file_waits_for_its_equals() {
        // One of 100 kB, made of small ones, and two new small ones: nothing is rewritten yet.
        let mut files = vec![file(0, 0, 100 << 10), file(0, 1, 10), file(0, 2, 10)];
        assert!(run_to_merge(&files, &CompactLimits { min_files: 4, ..limits() }).is_none());
        files.push(file(0, 3, 10));
        assert_eq!(run_to_merge(&files, &limits()).unwrap()[0].range.first, 1);
    }

    #[test]
    fn a_merge_stops_at_the_target() {
        let files: Vec<DataFile> = (0..20).map(|n| file(0, n, 200 << 10)).collect();
        let run = run_to_merge(&files, &limits()).unwrap();
        assert_eq!(run.len(), 5);
    }
}
