//! Where the artefacts of models are: with the program, and in the folder `models` of the data directory, named by their content.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use millstream_profile::{ArtefactStore, MemoryArtefacts};
use millstream_schemas::Id;
use millstream_scoring::{Model, Scorer, content_hash, limits};

use crate::config::Config;
use crate::error::Failure;

/// The artefacts of an installation.
#[derive(Debug, Clone)]
pub struct Artefacts {
    builtin: MemoryArtefacts,
    folder: PathBuf,
}

/// An artefact that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The hash of its content.
    pub content: Id,
    /// Name and version; why it cannot score here, where it cannot.
    pub model: Result<(String, String), String>,
    /// Its length in bytes.
    pub bytes: usize,
    /// `built in`, or the file.
    pub place: String,
}

impl Artefacts {
    /// Those of a configuration.
    pub fn of(config: &Config) -> Self {
        Self { builtin: MemoryArtefacts::builtin(), folder: config.data_dir.join("models") }
    }

    fn path(&self, content: Id) -> PathBuf {
        self.folder.join(format!("{content}.json"))
    }

    /// All of them: those that come with the program first, then the folder's by name. Files that are named otherwise are no artefacts.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn list(&self) -> Result<Vec<Found>, Failure> {
        let mut found = Vec::new();
        for content in self.builtin.names() {
            let bytes = self.builtin.load(content).map_err(Failure::new)?;
            found.push(describe(content, &bytes, "built in".to_owned()));
        }
        let mut files: Vec<PathBuf> = match fs::read_dir(&self.folder) {
            Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(Failure::new(format!("{}: {error}", self.folder.display()))),
        };
        files.sort();
        for path in files {
            let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let Some(content) = Id::from_hex(name.as_bytes()) else { continue };
            let bytes = read(&path).map_err(Failure::new)?;
            let place = path.display().to_string();
            if Id(content_hash(&bytes)) == content {
                found.push(describe(content, &bytes, place));
            } else {
                let model = Err("the file was changed: its content has another hash than its name".to_owned());
                found.push(Found { content, model, bytes: bytes.len(), place });
            }
        }
        Ok(found)
    }

    /// Copies an artefact into the folder. Returns its content's hash.
    ///
    /// # Errors
    /// Where the file is no artefact that can score here, or the folder cannot be written.
    pub fn add(&self, file: &Path) -> Result<Id, Failure> {
        let bytes = read(file).map_err(Failure::new)?;
        Model::load(&bytes).map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
        let content = Id(content_hash(&bytes));
        fs::create_dir_all(&self.folder)?;
        // Under its name only once it is whole.
        let partial = self.folder.join(format!("{content}.partial"));
        fs::write(&partial, &bytes)?;
        fs::rename(&partial, self.path(content))?;
        Ok(content)
    }
}

fn describe(content: Id, bytes: &[u8], place: String) -> Found {
    let model = match Model::load(bytes) {
        Ok(model) => Ok((model.model().to_owned(), model.version().to_owned())),
        Err(error) => Err(error.to_string()),
    };
    Found { content, model, bytes: bytes.len(), place }
}

/// A file that may be an artefact.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let in_file = |error: io::Error| format!("{}: {error}", path.display());
    let length = fs::metadata(path).map_err(in_file)?.len();
    if length > limits::DOCUMENT_BYTES as u64 {
        return Err(format!("{}: {length} bytes; an artefact has at most {}", path.display(), limits::DOCUMENT_BYTES));
    }
    fs::read(path).map_err(in_file)
}

impl ArtefactStore for Artefacts {
    fn load(&self, content: Id) -> Result<Arc<[u8]>, String> {
        if let Ok(bytes) = self.builtin.load(content) {
            return Ok(bytes);
        }
        read(&self.path(content)).map(Arc::from).map_err(|error| {
            format!("{error}; add it on this machine with `millstream models add FILE`, then start again")
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use millstream_scoring::builtin;

    fn artefacts(folder: &Path) -> Artefacts {
        Artefacts { builtin: MemoryArtefacts::new(), folder: folder.join("models") }
    }

    #[test]
    fn what_is_added_is_found_by_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let artefacts = artefacts(folder.path());
        assert_eq!(artefacts.list().unwrap(), []);
        let file = folder.path().join("trained.json");
        fs::write(&file, builtin::PROPENSITY).unwrap();
        let content = artefacts.add(&file).unwrap();
        assert_eq!(&*artefacts.load(content).unwrap(), builtin::PROPENSITY);
        let found = artefacts.list().unwrap();
        assert_eq!((found.len(), found[0].content), (1, content));
        assert_eq!(found[0].model.as_ref().unwrap().0, "propensity");
        // A changed file is told apart.
        fs::write(artefacts.path(content), b"{}").unwrap();
        assert!(artefacts.list().unwrap()[0].model.as_ref().unwrap_err().contains("was changed"));
    }

    #[test]
    fn what_is_no_artefact_is_refused_and_what_is_not_there_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let artefacts = artefacts(folder.path());
        let file = folder.path().join("notes.json");
        fs::write(&file, b"{}").unwrap();
        assert!(artefacts.add(&file).unwrap_err().to_string().contains("no model artefact"));
        assert!(artefacts.add(&folder.path().join("none")).is_err());
        let why = artefacts.load(Id(5)).unwrap_err();
        assert!(why.contains("millstream models add"), "{why}");
    }
}
