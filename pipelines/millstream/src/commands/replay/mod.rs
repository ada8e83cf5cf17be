//! `millstream replay`: recorded input run again, and compared with what was written.

mod compare;
mod hand_over;
mod rebuild;
mod restore;
mod tasks;

use std::sync::Arc;

use millstream_runtime::{Clock, SystemClock};
use prometheus::Registry;

use crate::app::App;
use crate::cli::ReplayCommand;
use crate::config::Config;
use crate::error::Failure;
use crate::{log, registry, topology};

/// Runs one of the replays.
///
/// # Errors
/// Where something cannot be read, or what was replayed differs.
pub fn run(config: Config, command: &ReplayCommand) -> Result<(), Failure> {
    match command {
        ReplayCommand::Tasks { stage, partition, from } => tasks::tasks(config, stage.as_deref(), *partition, from),
        ReplayCommand::Rebuild { into, from_warehouse: true } => restore::restore(&open(config)?, into),
        ReplayCommand::Rebuild { into, .. } => rebuild::rebuild(&open(config)?, into),
        ReplayCommand::HandOver { to: Some(to), no_compare, .. } => {
            hand_over::hand_over(&open(config)?, to, !no_compare)
        }
        ReplayCommand::HandOver { to: None, .. } => hand_over::take_back(&open(config)?),
        ReplayCommand::Compare { with } => {
            if *with == config.namespace {
                return Err(Failure::new(format!("--with {with:?} is this namespace itself; give the other one")));
            }
            compare::compare_with(&open(config)?, with)
        }
    }
}

/// The log as it is: nothing is published, for a replay must not change what it replays.
fn open(config: Config) -> Result<App, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let ids = registry::register(&config.registry.url, &config.namespace)?;
    let transport = log::open(&config)?;
    transport.ensure_topics(&topology::all(&config))?;
    Ok(App { config, transport, ids, clock, metrics: Registry::new() })
}
