//! `millstream drain`: everything in the log is processed and a snapshot taken at the committed offset, so that a program of another
//! logic version can go on from there without replaying anything.

use std::sync::Arc;
use std::time::Duration;

use millstream_runtime::{Clock, SystemClock};

use crate::app::App;
use crate::config::Config;
use crate::error::Failure;
use crate::progress::tell;
use crate::services::Services;

/// How long partitions of processes that have died may take to come here: longer than any session.
const OWNED_WITHIN: Duration = Duration::from_secs(120);

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
        // The consumer protocol hands partitions over one by one: who has some and is at their end has not drained the others.
        if !running.owns(stage, app.config.partitions, OWNED_WITHIN) && !running.failed() {
            running.stop().map_err(Failure::new)?;
            return Err(Failure::new(format!(
                "not drained: another process has partitions of {stage}, or had them and its session has not ended; stop all processes of \
                 `millstream run ingest profile` and try again. If there are none, see what `millstream check` says"
            )));
        }
        running.drain_stage(stage, |_| {});
    }
    running.stop().map_err(Failure::new)?;
    tell("drained: every task has a snapshot at its committed offset; the next program can start from there");
    Ok(())
}
