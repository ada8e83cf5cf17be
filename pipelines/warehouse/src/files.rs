//! The files of a table, and which of them count.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::WarehouseError;

/// Ending of a data file.
const SUFFIX: &str = ".parquet";
/// Beginning of a file that is still being written.
pub(crate) const UNFINISHED: &str = ".writing-";

/// The range that a file's name gives: every delivered record of one partition between two offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Range {
    pub(crate) partition: u32,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl Range {
    pub(crate) fn file_name(self) -> String {
        format!("{}-{}-{}{SUFFIX}", self.partition, self.first, self.last)
    }

    /// The range in a file name; `None` for any other name.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(SUFFIX)?.split('-');
        let range = Self {
            partition: parts.next()?.parse().ok()?,
            first: parts.next()?.parse().ok()?,
            last: parts.next()?.parse().ok()?,
        };
        // One spelling only: a file that a human renamed to `00-1-2` is not ours.
        (range.file_name() == name && range.first <= range.last).then_some(range)
    }

    pub(crate) fn contains(self, other: Self) -> bool {
        self.partition == other.partition && self.first <= other.first && other.last <= self.last
    }

    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.partition == other.partition && self.first <= other.last && other.first <= self.last
    }
}

/// A data file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DataFile {
    pub(crate) range: Range,
    pub(crate) path: PathBuf,
    pub(crate) size_bytes: u64,
}

/// A table's files.
#[derive(Debug, Default)]
pub(crate) struct TableFiles {
    /// Those whose rows count, by partition and offset.
    pub(crate) current: Vec<DataFile>,
    /// Those that lie inside a wider one.
    pub(crate) superseded: Vec<DataFile>,
}

impl TableFiles {
    /// Looks into a table's folder; one that is not there has no files.
    pub(crate) fn list(folder: &Path) -> Result<Self, WarehouseError> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(WarehouseError::io(folder)(error)),
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry.map_err(WarehouseError::io(folder))?;
            let Some(range) = entry.file_name().to_str().and_then(Range::of) else { continue };
            let path = entry.path();
            match entry.metadata() {
                Ok(metadata) => files.push(DataFile { range, path, size_bytes: metadata.len() }),
                // Another process tidied up between the listing and the look.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(WarehouseError::io(&path)(error)),
            }
        }
        Self::of(files)
    }

    /// Divides files into those that count and those that a wider one replaces. Files that overlap otherwise contradict each other.
    fn of(mut files: Vec<DataFile>) -> Result<Self, WarehouseError> {
        files.sort_by_key(|file| (file.range.partition, file.range.first, u64::MAX - file.range.last));
        let mut sorted = Self::default();
        for file in files {
            match sorted.current.last() {
                Some(before) if before.range.contains(file.range) => sorted.superseded.push(file),
                Some(before) if before.range.overlaps(file.range) => {
                    return Err(WarehouseError::Conflict(format!(
                        "{} and {} hold the same offsets in part; one of them is of another log: move it away",
                        before.path.display(),
                        file.path.display()
                    )));
                }
                _ => sorted.current.push(file),
            }
        }
        Ok(sorted)
    }
}

/// Makes a rename in `folder` durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), WarehouseError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(WarehouseError::io(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(partition: u32, first: u64, last: u64) -> DataFile {
        let range = Range { partition, first, last };
        DataFile { range, path: PathBuf::from(range.file_name()), size_bytes: 1 }
    }

    fn names(files: &[DataFile]) -> Vec<String> {
        files.iter().map(|file| file.range.file_name()).collect()
    }

    #[test]
    fn names_are_read_back_and_others_ignored() {
        let range = Range { partition: 3, first: 7, last: 12 };
        assert_eq!(Range::of("3-7-12.parquet"), Some(range));
        assert_eq!(Range::of(&range.file_name()), Some(range));
        for name in [
            "3-7-12.parquet.tmp",
            "03-7-12.parquet",
            "3-12-7.parquet",
            "a-1-2.parquet",
            "3-7.parquet",
            ".writing-3-7-12",
        ] {
            assert_eq!(Range::of(name), None, "{name}");
        }
    }

    #[test]
    fn a_wider_file_replaces_those_inside_it() {
        let files =
            vec![file(0, 10, 19), file(0, 0, 9), file(0, 0, 19), file(1, 0, 9), file(0, 20, 29), file(0, 12, 14)];
        let files = TableFiles::of(files).unwrap();
        assert_eq!(names(&files.current), ["0-0-19.parquet", "0-20-29.parquet", "1-0-9.parquet"]);
        assert_eq!(names(&files.superseded), ["0-0-9.parquet", "0-10-19.parquet", "0-12-14.parquet"]);
    }

    #[test]
    fn files_that_overlap_in_part_are_an_error() {
        let error = TableFiles::of(vec![file(0, 0, 10), file(0, 5, 15)]).unwrap_err();
        assert!(error.to_string().contains("0-5-15.parquet"), "{error}");
    }
}
