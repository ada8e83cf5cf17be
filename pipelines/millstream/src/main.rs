//! The `millstream` command.

mod app;
mod artefacts;
mod cli;
mod commands;
mod config;
mod control;
mod delivery;
mod demo;
mod error;
mod http;
mod log;
mod metrics;
mod progress;
mod registry;
mod sender;
mod services;
mod serving;
mod snapshots;
mod telemetry;
mod topology;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
use std::ffi::c_char;
use std::process::ExitCode;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
use std::sync::atomic::AtomicPtr;

use clap::Parser;

use cli::{Cli, Command, Service};
use error::Failure;

/// Memory that a burst needed goes back to the system, whichever thread allocated it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Read by jemalloc when it starts: memory not used for half a second goes back, instead of ten seconds. What a burst held is given back
/// while it is caught up. `MALLOC_CONF` overrides it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "the name by which jemalloc finds its settings; nothing else defines it")]
#[unsafe(export_name = "malloc_conf")]
static ALLOCATOR_SETTINGS: AtomicPtr<c_char> =
    AtomicPtr::new(c"background_thread:true,dirty_decay_ms:500,muzzy_decay_ms:0".as_ptr().cast_mut());

fn main() -> ExitCode {
    let cli = Cli::parse();
    let serves = matches!(cli.command, Command::Run(_) | Command::Collect | Command::Deliver);
    telemetry::start_logging(if serves { "info,fjall=warn,lsm_tree=warn" } else { "warn" }, cli.log_json);
    // A second provider installed by somebody else in the process serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match dispatch(cli) {
        Ok(code) => code,
        Err(failure) => {
            progress::tell(&format!("millstream: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cli: Cli) -> Result<ExitCode, Failure> {
    let config = config::load(cli.config.as_deref(), std::env::vars()).map_err(Failure::from);
    if let Command::Verify(args) = &cli.command {
        // Its exit code tells what differs from what could not be looked at.
        return Ok(commands::verify::run(config, args));
    }
    let config = config?;
    match cli.command {
        Command::Demo(args) => commands::demo::run(config, &args),
        Command::Run(args) => commands::run::run(config, &args.services),
        Command::Collect => commands::run::run(config, &[Service::Collect]),
        Command::Deliver => commands::run::run(config, &[Service::Deliver]),
        Command::Drain => commands::drain::drain(config),
        Command::Import(args) => commands::import::run(config, &args),
        Command::Generate(args) => commands::generate::run(&args),
        Command::Query(args) => commands::query::run(&config, &args),
        Command::AsOf(args) => commands::as_of::run(&config, &args),
        Command::Models(args) => commands::models::run(config, &args.command),
        Command::Replay(args) => commands::replay::run(config, &args.command),
        Command::Topics => commands::topics::run(&config),
        Command::Migrate => commands::migrate::run(&config),
        Command::Check => commands::check::run(&config),
        Command::DeadLetters(args) => commands::dead_letters::run(&config, &args.command),
        Command::Verify(_) => Ok(()),
    }
    .map(|()| ExitCode::SUCCESS)
}
