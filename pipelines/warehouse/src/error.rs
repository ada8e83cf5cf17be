//! What can go wrong in the embedded warehouse.

use std::path::{Path, PathBuf};

use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;

use millstream_deliver::{Cause, SinkError};

/// A failure, with the file where there is one.
#[derive(Debug, thiserror::Error)]
pub enum WarehouseError {
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// A file is no Parquet file, or a damaged one.
    #[error("{path}: {source}")]
    Parquet {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: ParquetError,
    },
    /// Files contradict each other, or the log.
    #[error("{0}")]
    Conflict(String),
    /// The query is wrong, or failed.
    #[error("query: {0}")]
    Query(#[from] DataFusionError),
    /// The answer could not be written.
    #[error("writing the answer: {0}")]
    Output(std::io::Error),
}

impl WarehouseError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    pub(crate) fn parquet(path: &Path) -> impl FnOnce(ParquetError) -> Self {
        let path = path.to_owned();
        move |source| Self::Parquet { path, source }
    }
}

impl From<WarehouseError> for SinkError {
    fn from(error: WarehouseError) -> Self {
        let why = error.to_string();
        // A full disk is waited out like a server that is down, wherever it shows.
        if ["No space left on device", "os error 28", "Disk quota exceeded"].iter().any(|full| why.contains(full)) {
            return Self::Troubled { cause: Cause::DiskFull, why };
        }
        match error {
            WarehouseError::Conflict(why) => Self::Conflict(why),
            WarehouseError::Io { .. } => Self::Unavailable(error.to_string()),
            other => Self::Refused(other.to_string()),
        }
    }
}
