//! What tells a log from another one that is later made in the same place: state made of the one is nothing to the other.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Result, TransportError};

const FILE: &str = "identity";

/// The log's identity; empty for one that was made before there were any.
pub(super) fn read(directory: &Path) -> Result<String> {
    match fs::read_to_string(directory.join(FILE)) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(refused(directory, &error)),
    }
}

/// Gives a log that is being made an identity of its own.
pub(super) fn make(directory: &Path) -> Result<()> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let write = || {
        let mut file = File::create(directory.join(FILE))?;
        writeln!(file, "{since:x}-{:x}", std::process::id())?;
        file.sync_all()
    };
    write().map_err(|error| refused(directory, &error))
}

fn refused(directory: &Path, error: &std::io::Error) -> TransportError {
    TransportError::Other(format!("file {FILE} in {}: {error}", directory.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use crate::embedded::{EmbeddedLog, EmbeddedOptions};
    use crate::{Retention, TopicSpec, Transport};

    #[test]
    fn a_topic_made_anew_in_the_same_place_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("log");
        let events = TopicSpec { name: "events".to_owned(), partitions: 1, retention: Retention::Forever };
        let id = || {
            let log = EmbeddedLog::open(&place, EmbeddedOptions::default()).unwrap();
            log.ensure_topics(std::slice::from_ref(&events)).unwrap();
            log.topic_id("events").unwrap()
        };
        let (first, again) = (id(), id());
        assert_eq!(first, again);
        std::fs::remove_dir_all(&place).unwrap();
        assert_ne!(first, id());
    }
}
