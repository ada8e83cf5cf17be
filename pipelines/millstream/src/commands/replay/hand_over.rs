//! `millstream replay hand-over`: another namespace takes over, and this one can write nothing any more.
//!
//! What fences is a record in the log, in every input partition of the first stage: behind it nothing is accepted and no time passes,
//! whoever runs the stage, in whatever process. So what both namespaces say can be compared before the other one is used.

use std::time::{Duration, Instant};

use millstream_collect::LEASE;
use millstream_replay::closing::closed_by;
use millstream_replay::imports::unfinished;
use millstream_replay::reopen::take_in;
use millstream_replay::stragglers::Stragglers;
use millstream_schemas::Collected;
use millstream_schemas::closing::{Closing, NAMESPACE_CLOSED_KIND};
use millstream_transports::Walk;

use super::compare::compare_with;
use super::rebuild::{End, Rebuilding, copier};
use crate::app::App;
use crate::config::{Config, TransportKind};
use crate::control::{Change, TASK_INPUTS, publish_changes};
use crate::error::Failure;
use crate::progress::{Progress, tell};
use crate::services::{STAGES, Services};
use crate::topology;

/// Between two looks at how far something has come.
const LOOK: Duration = Duration::from_millis(100);
/// How long nothing may move while something is waited for.
const PATIENCE: Duration = Duration::from_secs(180);
/// Until then every collector knows, or acknowledges nothing.
const KNOWN_WITHIN: Duration = LEASE.saturating_add(Duration::from_secs(2));

/// Hands this namespace over to `to`; compares what both say first, unless told not to. Where it was handed over before and the other one is
/// in use, only what collectors took too late is copied.
///
/// # Errors
/// Where it was handed over to another one, something fails, or the current views differ: then it is open again.
pub fn hand_over(app: &App, to: &str, compares: bool) -> Result<(), Failure> {
    let mut copier = copier(app, to)?;
    let is_too_old = too_old(app)?;
    if copier.is_succeeded() {
        // Its own processes work on them.
        tell_stragglers(copier.copy_stragglers(&is_too_old)?, "copied to it");
        tell(&format!("namespace {to:?} has taken over before"));
        return Ok(());
    }
    let importing = unfinished(app.transport.as_ref(), &app.ids, &app.config.namespace)?;
    if !importing.is_empty() {
        return Err(Failure::new(format!("imports have not ended: {}; let them end first", importing.join(", "))));
    }
    let mut rebuilding = Rebuilding::start(app, to, copier)?;
    let handed_over = rebuilding.follow().and_then(|_| {
        // Most of it was copied while this namespace is in use, so that requests are refused for a short time.
        let closed = publish(app, Some(to)).and_then(|()| take_over(app, to, compares, &mut rebuilding));
        closed.inspect_err(|_| open_again(app))
    });
    let stragglers = handed_over.and_then(|()| Ok(rebuilding.copier.copy_stragglers(&is_too_old)?));
    let processed = rebuilding.process(&mut Progress::new("stragglers", 0));
    rebuilding.stop()?;
    tell_stragglers(stragglers?, "copied as well");
    processed?;
    tell(&format!("handed over: this namespace accepts nothing any more. Set namespace = {to:?} and start"));
    Ok(())
}

/// Everything between the closing and the moment from which the other namespace may be used.
fn take_over(app: &App, to: &str, compares: bool, rebuilding: &mut Rebuilding<'_>) -> Result<(), Failure> {
    tell("closed: requests are refused until the other namespace is started");
    let closed_at = Instant::now();
    while rebuilding.follow()? != End::Closing {
        if closed_at.elapsed() > PATIENCE {
            return Err(Failure::new("the record that closes this namespace does not come in every partition"));
        }
        std::thread::sleep(LOOK);
    }
    finish_here(app, &rebuilding.copier.closing_offsets().unwrap_or_default())?;
    if compares {
        compare_with(app, to)?;
    }
    rebuilding.copier.copy_imports()?;
    // The embedded log is this process's alone.
    if app.config.transport == TransportKind::Kafka {
        std::thread::sleep(KNOWN_WITHIN.saturating_sub(closed_at.elapsed()));
    }
    Ok(())
}

/// After a hand-over that came to nothing.
fn open_again(app: &App) {
    match publish(app, None).and_then(|()| take_in_refused(app)) {
        Ok(()) => tell("nothing is handed over: this namespace is open again"),
        Err(failure) => tell(&format!("this namespace is STILL CLOSED, for {failure}; `hand-over --back` opens it")),
    }
}

/// Opens this namespace again, and takes in what it refused meanwhile.
///
/// # Errors
/// Where it is not closed, or the log refuses.
pub fn take_back(app: &App) -> Result<(), Failure> {
    let Some(closed_by) = closed_by(app.transport.as_ref(), &app.ids, &app.config.namespace)? else {
        // Killed between the two, it may lack the second.
        take_in_refused(app)?;
        tell("this namespace is not handed over to any other");
        return Ok(());
    };
    publish(app, None)?;
    take_in_refused(app)?;
    tell(&format!(
        "open again, no longer handed over to {:?}. What that one has collected itself stays there, and it is no copy any more",
        closed_by.successor
    ));
    Ok(())
}

fn take_in_refused(app: &App) -> Result<(), Failure> {
    let taken = take_in(app.transport.as_ref(), &app.ids, &app.config.namespace, &too_old(app)?)?;
    tell_stragglers(taken, "sent in again");
    Ok(())
}

fn tell_stragglers(stragglers: Stragglers, what: &str) {
    let Stragglers { appended, too_old } = stragglers;
    if appended > 0 {
        tell(&format!("{appended} events that were taken in after the closing were {what}"));
    }
    if too_old > 0 {
        tell(&format!(
            "{too_old} of them are older than the horizon by now: dead letters with the reason namespace_closed, to be imported"
        ));
    }
}

/// Whether an event is older than what operators keep state for. What an import brought is not told by its age.
fn too_old(app: &App) -> Result<impl Fn(&Collected<'_>) -> bool + use<>, Failure> {
    let sites = app.config.site_settings()?;
    let now_ms = app.clock.now_ms();
    Ok(move |event: &Collected<'_>| {
        event.origin != "import" && now_ms.saturating_sub(event.received_at) > sites.get(event.site).horizon_ms
    })
}

fn publish(app: &App, successor: Option<&str>) -> Result<(), Failure> {
    let body = Closing { successor: successor.map(str::to_owned) }.body();
    let change = Change { kind: NAMESPACE_CLOSED_KIND, site: String::new(), body };
    let now_ms = app.clock.now_ms();
    publish_changes(app.transport.as_ref(), &app.config.namespace, &app.ids, &[change], now_ms)?;
    Ok(())
}

/// Sees that this namespace's own stages have processed everything before the hand-over, whether or not other processes run them.
fn finish_here(app: &App, closing_offsets: &[u64]) -> Result<(), Failure> {
    // A member of its own, where processes under this machine's name still run.
    let instance = format!("{}-hand-over", app.config.instance_name());
    let here = app.in_namespace(Config { live: false, instance, ..app.config.clone() });
    let mut running = Services::new();
    here.start_ingest(&mut running)?;
    here.start_profile(&mut running)?;
    let waited = STAGES.into_iter().zip(TASK_INPUTS).try_for_each(|(stage, input)| {
        let mut progress = Progress::new(stage, 0);
        let mut seen = committed(app, stage, input)?;
        let mut moved_at = Instant::now();
        while !running.failed() {
            std::thread::sleep(LOOK);
            let now = committed(app, stage, input)?;
            // Ticks go on behind the closing. Nothing but ingest writes into what profile reads, save profile itself: its tasks must all stand
            // at their end twice, at the same place.
            let is_done = match stage {
                "ingest" => now.iter().zip(closing_offsets).all(|(committed, closing)| committed > closing),
                _ => now == seen && at_end(app, input, &now)? && committed(app, stage, input)? == now,
            };
            if is_done {
                progress.done("everything before the closing is processed");
                return Ok(());
            }
            if now != seen {
                moved_at = Instant::now();
            } else if moved_at.elapsed() > PATIENCE {
                return Err(Failure::new(format!("{stage} has not moved for {} s", PATIENCE.as_secs())));
            }
            seen = now;
            progress.at(0, 0, "waiting for what came before the closing");
        }
        Ok(())
    });
    running.stop().map_err(Failure::new)?;
    waited
}

/// Where a stage's group stands in each partition.
fn committed(app: &App, stage: &str, input: &str) -> Result<Vec<u64>, Failure> {
    let (group, topic) = (topology::name(&app.config, stage), topology::name(&app.config, input));
    let of = |partition| app.transport.committed(&group, &topic, partition);
    let positions =
        (0..app.config.partitions).map(|partition| Ok(of(partition)?.map_or(0, |committed| committed.offset)));
    positions.collect()
}

/// Whether nothing lies behind these positions.
fn at_end(app: &App, input: &str, positions: &[u64]) -> Result<bool, Failure> {
    let topic = topology::name(&app.config, input);
    for (partition, offset) in (0..).zip(positions) {
        if Walk::from(app.transport.as_ref(), &topic, partition, *offset)?.peek()?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}
