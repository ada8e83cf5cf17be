//! Snapshots of operators' state, as configured.

use std::sync::Arc;

use millstream_runtime::{SnapshotFolder, SnapshotSettings, SnapshotStore};

use crate::config::Config;
use crate::error::Failure;

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
    let url = config.snapshots.url.as_str();
    let folder = match url {
        "" => config.data_dir.join("snapshots"),
        url => match url.strip_prefix("file://") {
            Some(path) => path.into(),
            None => return Err(Failure::new(format!("snapshots.url = {url:?}: file:///folder was expected"))),
        },
    };
    Ok(Arc::new(SnapshotFolder::new(folder)))
}
