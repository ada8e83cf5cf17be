//! `millstream replay rebuild`: the whole topology once more over the collected events, in a namespace of its own.

use std::time::Duration;

use millstream_replay::copy::{Copier, Stopped};

use crate::app::{App, refuse_if_closed};
use crate::config::{Config, bad_namespace};
use crate::error::Failure;
use crate::progress::Progress;
use crate::services::{STAGES, Services};
use crate::topology;

/// How long partitions of a rebuild that was killed may take to come here: longer than any session.
const OWNED_WITHIN: Duration = Duration::from_secs(120);

/// Copies, processes and compares.
///
/// # Errors
/// Where something cannot be read or written, or the current views differ.
pub fn rebuild(app: &App, into: &str) -> Result<(), Failure> {
    let copier = copier(app, into)?;
    if copier.is_succeeded() {
        return Err(Failure::new(format!("namespace {into:?} has taken over from this one: it is no copy any more")));
    }
    let mut rebuilding = Rebuilding::start(app, into, copier)?;
    let followed = rebuilding.follow();
    rebuilding.stop()?;
    followed?;
    super::compare::compare_with(app, into)
}

/// Where the copy in a namespace stands, whose topics are made where they are missing.
///
/// # Errors
/// Where the namespace was used by itself, or the log refuses.
pub fn copier<'a>(app: &'a App, into: &str) -> Result<Copier<'a>, Failure> {
    prepare(app, into)?;
    Ok(Copier::new(app.transport.as_ref(), &app.ids, &app.config.namespace, into)?)
}

/// Makes a namespace's topics where they are missing.
///
/// # Errors
/// Where nothing can be rebuilt into it, or the log refuses.
pub fn prepare(app: &App, into: &str) -> Result<(), Failure> {
    if into == app.config.namespace {
        return Err(Failure::new(format!("{into:?} is the namespace that is replayed; give another one")));
    }
    if let Some(why) = bad_namespace(into) {
        return Err(Failure::new(why));
    }
    app.transport.ensure_topics(&topology::all(&target(app, into)))?;
    refuse_if_closed(app.transport.as_ref(), &app.ids, into)
}

/// The other namespace, in which no time passes but what is copied.
fn target(app: &App, into: &str) -> Config {
    Config { namespace: into.to_owned(), live: false, ..app.config.clone() }
}

/// Where there was nothing more to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// At what was the end of the log.
    Now,
    /// At the record that hands the namespace over.
    Closing,
}

/// A namespace that another one's input is copied into, with its stages at work.
pub struct Rebuilding<'a> {
    /// Where the copy stands.
    pub copier: Copier<'a>,
    running: Services,
    into: String,
}

impl<'a> Rebuilding<'a> {
    /// Starts the stages of the other namespace.
    ///
    /// # Errors
    /// Where another process runs them, or the log refuses.
    pub fn start(app: &App, into: &str, copier: Copier<'a>) -> Result<Self, Failure> {
        Ok(Self { copier, running: start_stages(app, into)?, into: into.to_owned() })
    }

    /// Copies and processes what there is to copy.
    ///
    /// # Errors
    /// Where a stage or the log fails.
    pub fn follow(&mut self) -> Result<End, Failure> {
        let mut progress = Progress::new("rebuild", 0);
        loop {
            let stopped = self.copier.copy_segment()?;
            // What comes behind a control record must find everything before it processed.
            self.process(&mut progress)?;
            let end = match stopped {
                Stopped::AtControl(number) => {
                    self.copier.copy_control(number)?;
                    continue;
                }
                Stopped::AtEnd => End::Now,
                Stopped::AtClosing => End::Closing,
            };
            let copied = self.copier.copied();
            progress.done(&format!("{copied} records of input processed anew in namespace {:?}", self.into));
            return Ok(end);
        }
    }

    /// Has the stages process everything that was copied.
    ///
    /// # Errors
    /// Where one of them fails.
    pub fn process(&self, progress: &mut Progress) -> Result<(), Failure> {
        let copied = self.copier.copied();
        process(&self.running, copied, &self.into, progress)
    }

    /// Ends the stages, with their snapshots.
    ///
    /// # Errors
    /// Where one of them has failed.
    pub fn stop(self) -> Result<(), Failure> {
        self.running.stop().map_err(Failure::new)
    }
}

/// Starts the stages of another namespace, all partitions of them here.
///
/// # Errors
/// Where another process runs them, or the log refuses.
pub fn start_stages(app: &App, into: &str) -> Result<Services, Failure> {
    let rebuilt = app.in_namespace(target(app, into));
    let mut running = Services::new();
    rebuilt.start_ingest(&mut running)?;
    rebuilt.start_profile(&mut running)?;
    for stage in STAGES {
        if !running.owns(stage, app.config.partitions, OWNED_WITHIN) {
            running.stop().map_err(Failure::new)?;
            let why = format!("another process has partitions of {stage} in namespace {into:?}; stop it and try again");
            return Err(Failure::new(why));
        }
    }
    Ok(running)
}

/// Has the stages of a namespace process the `records` of their input.
///
/// # Errors
/// Where one of them fails.
pub fn process(running: &Services, records: u64, namespace: &str, progress: &mut Progress) -> Result<(), Failure> {
    for stage in STAGES {
        running.drain_stage(stage, |stage| progress.at(stage.processed(), records, stage.name));
        if running.failed() {
            return Err(Failure::new(format!("{stage} of namespace {namespace:?} has failed; its error is above")));
        }
    }
    Ok(())
}
