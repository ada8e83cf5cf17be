//! `millstream drain`: everything in the log is processed and a snapshot taken at the committed offset, so that a program of another
//! logic version can go on from there without replaying anything.

use std::sync::Arc;

use millstream_runtime::{Clock, SystemClock};

use crate::app::App;
use crate::config::Config;
use crate::error::Failure;
use crate::progress::tell;
use crate::services::Services;

/// Runs both stages until they have processed what is in the log, and ends them with a snapshot.
///
/// # Errors
/// Where snapshots are switched off, or a stage fails.
pub fn drain(config: Config) -> Result<(), Failure> {
    if !config.snapshots.enabled {
        return Err(Failure::new(
            "snapshots are switched off; set snapshots.enabled = true, for draining ends with one",
        ));
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    // Time must not pass here: a tick would be one more record to drain.
    let app = App::open(Config { live: false, ..config }, clock)?;
    let mut running = Services::new();
    app.start_ingest(&mut running)?;
    app.start_profile(&mut running)?;
    for stage in ["ingest", "profile"] {
        tell(&format!("draining {stage}"));
        running.drain_stage(stage, |_| {});
    }
    running.stop().map_err(Failure::new)?;
    tell("drained: every task has a snapshot at its committed offset; the next program can start from there");
    Ok(())
}
