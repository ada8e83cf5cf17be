//! `millstream replay hand-over`: another namespace takes over, and this one can write nothing any more.
//!
//! What fences is a record in the log, in every input partition of the first stage: behind it nothing is accepted and no time passes,
//! whoever runs the stage, in whatever process. So what both namespaces say can be compared before the other one is used.

use std::time::Duration;

use millstream_replay::closing::closed_by;
use millstream_replay::copy::Stopped;
use millstream_schemas::closing::{Closing, NAMESPACE_CLOSED_KIND};
use millstream_transports::Walk;

use super::compare::compare_with;
use super::rebuild::{Rebuilding, STAGES};
use crate::app::App;
use crate::config::Config;
use crate::control::{Change, publish_changes};
use crate::error::Failure;
use crate::progress::{Progress, tell};
use crate::services::Services;
use crate::topology;

/// Between two looks at how far a stage has come.
const LOOK: Duration = Duration::from_millis(100);
/// Collectors look for the record this often; what they take before they have seen it is copied behind everything else.
const NOTICED_WITHIN: Duration = Duration::from_secs(2);

/// Hands this namespace over to `to`; compares what both say first, unless told not to.
///
/// # Errors
/// Where it was handed over to another one, something fails, or the current views differ: then it is open again.
pub fn hand_over(app: &App, to: &str, compares: bool) -> Result<(), Failure> {
    let mut rebuilding = Rebuilding::start(app, to)?;
    let handed_over = close(app, to, compares, &mut rebuilding);
    let stragglers = handed_over.and_then(|()| {
        std::thread::sleep(NOTICED_WITHIN);
        rebuilding.take_stragglers()
    });
    rebuilding.stop()?;
    let stragglers = stragglers?;
    if stragglers > 0 {
        tell(&format!("{stragglers} events that were taken in after the hand-over were copied as well"));
    }
    tell(&format!(
        "handed over: this namespace accepts nothing any more. Set namespace = {to:?} and start; \
         should an old collector have slept through it, the same command again copies what it took"
    ));
    Ok(())
}

fn close(app: &App, to: &str, compares: bool, rebuilding: &mut Rebuilding<'_>) -> Result<(), Failure> {
    // Most of it while this namespace is in use, so that requests are refused for seconds.
    if rebuilding.follow()? != Stopped::AtClosing {
        publish(app, Some(to))?;
        tell("closed: requests are refused until the other namespace is started");
        rebuilding.notice_closing()?;
        rebuilding.follow()?;
    }
    let finished = finish_here(app);
    let compared = if compares { finished.and_then(|()| compare_with(app, to)) } else { finished };
    compared.inspect_err(|_| match publish(app, None) {
        Ok(()) => tell("nothing is handed over: this namespace is open again"),
        Err(failure) => tell(&format!("this namespace is still closed, for {failure}; `hand-over --back` opens it")),
    })
}

/// Opens this namespace again. Events that came meanwhile are dead letters with the reason `namespace_closed`.
///
/// # Errors
/// Where it is not closed, or the log refuses.
pub fn take_back(app: &App) -> Result<(), Failure> {
    match closed_by(app.transport.as_ref(), &app.ids, &app.config.namespace)? {
        None => Err(Failure::new("this namespace is not handed over to any other")),
        Some(closed_by) => {
            publish(app, None)?;
            tell(&format!(
                "open again, no longer handed over to {:?}. `millstream dlq replay --reason namespace_closed` sends in what was refused \
                 meanwhile",
                closed_by.successor
            ));
            Ok(())
        }
    }
}

fn publish(app: &App, successor: Option<&str>) -> Result<(), Failure> {
    let body = Closing { successor: successor.map(str::to_owned) }.body();
    let change = Change { kind: NAMESPACE_CLOSED_KIND, site: String::new(), body };
    let now_ms = app.clock.now_ms();
    publish_changes(app.transport.as_ref(), &app.config.namespace, &app.ids, &[change], now_ms)?;
    Ok(())
}

/// Sees that this namespace's own stages have processed everything before the hand-over, whether or not other processes run them.
fn finish_here(app: &App) -> Result<(), Failure> {
    // A member of its own, where processes under this machine's name still run.
    let instance = format!("{}-hand-over", app.config.instance_name());
    let here = App {
        config: Config { live: false, instance, ..app.config.clone() },
        transport: std::sync::Arc::clone(&app.transport),
        ids: app.ids.clone(),
        clock: std::sync::Arc::clone(&app.clock),
        metrics: prometheus::Registry::new(),
    };
    let mut running = Services::new();
    here.start_ingest(&mut running)?;
    here.start_profile(&mut running)?;
    for (stage, input) in STAGES.into_iter().zip(crate::control::TASK_INPUTS) {
        let mut progress = Progress::new(stage, 0);
        let mut seen = None;
        loop {
            let now = positions(app, stage, input)?;
            // Tasks of a stage write into each other's input: all must stand at their end twice, at the same place.
            if running.failed() || (now.is_some() && now == seen) {
                break;
            }
            seen = now;
            progress.at(0, 0, "waiting for what came before the hand-over");
            std::thread::sleep(LOOK);
        }
        progress.done("all of it is processed");
    }
    running.stop().map_err(Failure::new)
}

/// Where a stage's group stands, where that is the end of every partition; `None` where something is left.
fn positions(app: &App, stage: &str, input: &str) -> Result<Option<Vec<u64>>, Failure> {
    let topic = topology::name(&app.config, input);
    let group = topology::name(&app.config, stage);
    let mut positions = Vec::new();
    for partition in 0..app.config.partitions {
        let committed = app.transport.committed(&group, &topic, partition)?.map_or(0, |committed| committed.offset);
        if Walk::from(app.transport.as_ref(), &topic, partition, committed)?.peek()?.is_some() {
            return Ok(None);
        }
        positions.push(committed);
    }
    Ok(Some(positions))
}
