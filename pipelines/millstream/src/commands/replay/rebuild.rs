//! `millstream replay rebuild`: the whole topology once more over the collected events, in a namespace of its own.

use std::sync::Arc;
use std::time::Duration;

use millstream_replay::copy::{Copier, Stopped};
use prometheus::Registry;

use crate::app::App;
use crate::config::Config;
use crate::error::Failure;
use crate::progress::Progress;
use crate::services::Services;
use crate::topology;

/// The stages, in the order in which records pass them.
pub const STAGES: [&str; 2] = ["ingest", "profile"];
/// How long partitions of a rebuild that was killed may take to come here: longer than any session.
const OWNED_WITHIN: Duration = Duration::from_secs(120);

/// Copies, processes and compares.
///
/// # Errors
/// Where something cannot be read or written, or the current views differ.
pub fn rebuild(app: &App, into: &str) -> Result<(), Failure> {
    let mut rebuilding = Rebuilding::start(app, into)?;
    let followed = rebuilding.follow();
    rebuilding.stop()?;
    followed?;
    super::compare::compare_with(app, into)
}

/// A namespace that another one's input is copied into, with its stages at work.
pub struct Rebuilding<'a> {
    copier: Copier<'a>,
    running: Services,
    into: String,
}

impl<'a> Rebuilding<'a> {
    /// Goes on where an earlier rebuild into the same namespace has ended, or begins.
    ///
    /// # Errors
    /// Where the namespace is used by itself, or the log refuses.
    pub fn start(app: &'a App, into: &str) -> Result<Self, Failure> {
        if into == app.config.namespace {
            return Err(Failure::new(format!("{into:?} is the namespace that is replayed; give another one")));
        }
        let target = Config { namespace: into.to_owned(), live: false, ..app.config.clone() };
        app.transport.ensure_topics(&topology::all(&target))?;
        let rebuilt = App {
            config: target,
            transport: Arc::clone(&app.transport),
            ids: app.ids.clone(),
            clock: Arc::clone(&app.clock),
            metrics: Registry::new(),
        };
        let copier = Copier::new(app.transport.as_ref(), &app.ids, &app.config.namespace, into)?;
        let mut running = Services::new();
        rebuilt.start_ingest(&mut running)?;
        rebuilt.start_profile(&mut running)?;
        for stage in STAGES {
            if !running.owns(stage, app.config.partitions, OWNED_WITHIN) {
                running.stop().map_err(Failure::new)?;
                return Err(Failure::new(format!(
                    "another process has partitions of {stage} in namespace {into:?}; stop it and try again"
                )));
            }
        }
        Ok(Self { copier, running, into: into.to_owned() })
    }

    /// Copies and processes what there is to copy.
    ///
    /// # Errors
    /// Where the log fails.
    pub fn follow(&mut self) -> Result<Stopped, Failure> {
        let mut progress = Progress::new("rebuild", 0);
        loop {
            let stopped = self.copier.copy_segment()?;
            self.process(&mut progress);
            let Stopped::AtControl(number) = stopped else {
                let copied = self.copier.copied();
                progress.done(&format!("{copied} records of input processed anew in namespace {:?}", self.into));
                return Ok(stopped);
            };
            self.copier.copy_control(number)?;
            if self.running.failed() {
                return Ok(stopped);
            }
        }
    }

    /// Takes note that the namespace is handed over now.
    ///
    /// # Errors
    /// Where the log fails.
    pub fn notice_closing(&mut self) -> Result<(), Failure> {
        Ok(self.copier.notice_closing()?)
    }

    /// Copies and processes what collectors wrote after they should have stopped. Returns how many events that were.
    ///
    /// # Errors
    /// Where the log fails.
    pub fn take_stragglers(&mut self) -> Result<u64, Failure> {
        let stragglers = self.copier.copy_stragglers()?;
        self.process(&mut Progress::new("stragglers", stragglers));
        Ok(stragglers)
    }

    fn process(&self, progress: &mut Progress) {
        let copied = self.copier.copied();
        for stage in STAGES {
            self.running.drain_stage(stage, |stage| progress.at(stage.processed(), copied, stage.name));
        }
    }

    /// Ends the stages, with their snapshots.
    ///
    /// # Errors
    /// Where one of them has failed.
    pub fn stop(self) -> Result<(), Failure> {
        self.running.stop().map_err(Failure::new)
    }
}
