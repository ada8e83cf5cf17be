//! What a snapshot is made of. A snapshot is there when its manifest is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::file::checksum;

/// Version of manifests and of the files that they bring. 2: files are compressed. What older programs wrote is read for ever
/// (`fixtures/`); an older program says of a newer snapshot that it does not know its format, and takes an older one.
pub const FORMAT: u32 = 2;

/// A file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRef {
    /// Its object's name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its entries.
    pub entries: u64,
    /// xxh3-128 of its bytes, 32 hexadecimal digits.
    pub checksum: String,
}

/// Files that were written together: sorted, no key in two of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// In the order of their keys.
    pub files: Vec<FileRef>,
}

impl Run {
    /// Bytes of all its files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// One snapshot of one task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Stage.
    pub stage: String,
    /// Version of its logic.
    pub logic_version: u32,
    /// Input topic, with its namespace.
    pub topic: String,
    /// What tells it from another one of that name.
    pub topic_id: String,
    /// Input partition.
    pub partition: u32,
    /// The state is that of all records before this offset.
    pub offset: u64,
    /// Which owner of the task wrote it.
    pub generation: u64,
    /// Number among the task's snapshots.
    pub number: u64,
    /// When it was written, milliseconds since the epoch. Only retention looks at it.
    pub written_at_ms: i64,
    /// For people: watermark, keys, models.
    pub about: BTreeMap<String, String>,
    /// Small state; first of all.
    pub small: Option<FileRef>,
    /// The entries, newest first: of a key the first holds.
    pub runs: Vec<Run>,
    /// By section: entries that begin with a number below this have expired.
    pub floors: Vec<(u8, u32)>,
}

/// Why a manifest cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Its bytes are not those that were written.
    #[error("its checksum does not agree with its text")]
    Changed,
    /// It says something that this program does not know.
    #[error("{0}")]
    Malformed(String),
    /// A newer program wrote it.
    #[error("it has format {0}; this program knows formats up to {FORMAT}")]
    Format(u32),
}

impl Manifest {
    /// The object: a line with the checksum of the rest, which is JSON.
    pub fn encode(&self) -> Vec<u8> {
        // Of such a struct serialising cannot fail; an empty text would be refused on reading.
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        format!("{:032x}\n{text}\n", checksum(text.as_bytes())).into_bytes()
    }

    /// Reads what [`Manifest::encode`] wrote.
    ///
    /// # Errors
    /// Where it was changed or is of a newer format.
    pub fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        let text = std::str::from_utf8(bytes).map_err(|_| ManifestError::Changed)?;
        let (sum, text) = text.split_once('\n').ok_or(ManifestError::Changed)?;
        let text = text.strip_suffix('\n').ok_or(ManifestError::Changed)?;
        if sum != format!("{:032x}", checksum(text.as_bytes())) {
            return Err(ManifestError::Changed);
        }
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let malformed = |error: serde_json::Error| ManifestError::Malformed(error.to_string());
        let Version { format } = serde_json::from_str(text).map_err(malformed)?;
        if format > FORMAT {
            return Err(ManifestError::Format(format));
        }
        serde_json::from_str(text).map_err(malformed)
    }

    /// Names of all its files.
    pub fn files(&self) -> impl Iterator<Item = &FileRef> {
        self.small.iter().chain(self.runs.iter().flat_map(|run| &run.files))
    }

    /// Bytes of all its files.
    pub fn bytes(&self) -> u64 {
        self.files().map(|file| file.bytes).sum()
    }
}
