//! Snapshots of operators' state, as configured.

use std::sync::Arc;

use millstream_runtime::{SnapshotFolder, SnapshotSettings, SnapshotStore};

use crate::config::{Config, SnapshotsSection};
use crate::error::Failure;

const OBJECT_STORAGE: &str = "s3://";
const FOLDER: &str = "file://";

/// Where and when snapshots are taken; `None` where they are switched off.
///
/// # Errors
/// Where the place cannot be used.
pub fn settings(config: &Config) -> Result<Option<SnapshotSettings>, Failure> {
    let section = &config.snapshots;
    if !section.enabled {
        return Ok(None);
    }
    let store = store(config)?;
    Ok(Some(SnapshotSettings {
        interval_ms: section.interval_ms,
        keep_days: section.keep_days,
        ..SnapshotSettings::new(store)
    }))
}

/// Where snapshots are kept.
///
/// # Errors
/// Where the place cannot be used.
pub fn store(config: &Config) -> Result<Arc<dyn SnapshotStore>, Failure> {
    let section = &config.snapshots;
    if section.url.starts_with(OBJECT_STORAGE) {
        return object_storage::store(section);
    }
    let folder = section.url.strip_prefix(FOLDER).map_or_else(|| config.data_dir.join("snapshots"), Into::into);
    Ok(Arc::new(SnapshotFolder::new(folder)))
}

/// Whether the place can be used: a bucket is written, read, listed and cleared, and must let the first of two writers win.
///
/// # Errors
/// What it cannot do.
pub fn check(config: &Config) -> Result<(), String> {
    let section = &config.snapshots;
    if section.enabled && section.url.starts_with(OBJECT_STORAGE) {
        return object_storage::check(section, &config.instance_name());
    }
    Ok(())
}

/// What is wrong with `snapshots.url`.
pub fn bad_url(section: &SnapshotsSection) -> Option<String> {
    match section.url.as_str() {
        "" => None,
        url if url.starts_with(OBJECT_STORAGE) => object_storage::bad_url(section),
        url if url.strip_prefix(FOLDER).is_some_and(|path| path.starts_with('/')) => None,
        url => Some(format!("`{url}`: file:///folder or s3://bucket/prefix was expected")),
    }
}

/// What is wrong with `snapshots.endpoint`, where it is used.
pub fn bad_endpoint(section: &SnapshotsSection) -> Option<String> {
    section.url.starts_with(OBJECT_STORAGE).then(|| object_storage::bad_endpoint(section)).flatten()
}

/// What is wrong with the credentials of the place, where they are used.
pub fn bad_credentials(section: &SnapshotsSection) -> Option<String> {
    section.url.starts_with(OBJECT_STORAGE).then(|| object_storage::bad_credentials(section)).flatten()
}

#[cfg(feature = "s3")]
mod object_storage {
    use millstream_object_store::{ObjectSettings, ObjectSnapshots};

    use super::{Arc, Failure, SnapshotStore, SnapshotsSection};

    fn settings(section: &SnapshotsSection) -> ObjectSettings {
        ObjectSettings {
            endpoint: section.endpoint.clone(),
            region: section.region.clone(),
            access_key_id: section.access_key_id.clone(),
            secret_access_key: section.secret_access_key.clone(),
            allow_http: section.allow_http,
            ..ObjectSettings::new(section.url.as_str())
        }
    }

    pub(super) fn store(section: &SnapshotsSection) -> Result<Arc<dyn SnapshotStore>, Failure> {
        let store = ObjectSnapshots::new(&settings(section));
        Ok(Arc::new(store.map_err(|error| Failure::new(format!("snapshots: {error}")))?))
    }

    pub(super) fn check(section: &SnapshotsSection, unique: &str) -> Result<(), String> {
        let store = ObjectSnapshots::new(&settings(section)).map_err(|error| error.to_string())?;
        store.check(unique).map_err(|error| error.to_string())
    }

    pub(super) fn bad_url(section: &SnapshotsSection) -> Option<String> {
        settings(section).bucket().err().map(|error| error.to_string())
    }

    pub(super) fn bad_endpoint(section: &SnapshotsSection) -> Option<String> {
        settings(section).check_endpoint().err().map(|error| error.to_string())
    }

    pub(super) fn bad_credentials(section: &SnapshotsSection) -> Option<String> {
        settings(section).check_credentials().err().map(|error| error.to_string())
    }
}

#[cfg(not(feature = "s3"))]
mod object_storage {
    use super::{Arc, Failure, SnapshotStore, SnapshotsSection};

    const MISSING: &str = "this binary was built without object storage; build with `--features s3`";

    pub(super) fn store(section: &SnapshotsSection) -> Result<Arc<dyn SnapshotStore>, Failure> {
        Err(Failure::new(format!("snapshots.url = {:?}: {MISSING}", section.url)))
    }

    pub(super) fn check(section: &SnapshotsSection, _unique: &str) -> Result<(), String> {
        Err(format!("{:?}: {MISSING}", section.url))
    }

    pub(super) fn bad_url(section: &SnapshotsSection) -> Option<String> {
        Some(format!("`{}`: {MISSING}", section.url))
    }

    pub(super) fn bad_endpoint(_section: &SnapshotsSection) -> Option<String> {
        None
    }

    pub(super) fn bad_credentials(_section: &SnapshotsSection) -> Option<String> {
        None
    }
}
