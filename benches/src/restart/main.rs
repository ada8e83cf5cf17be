//! How long a killed process takes until it has caught up: `kill -9` with people in state, under load, on the embedded log.
//!
//! `cargo run --release -p millstream-benches --bin restart -- --people 1000000`

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark prints, and has nobody to report an error to"
)]

#[allow(dead_code, reason = "the engine's benchmark uses all of it")]
#[path = "../engine/traffic.rs"]
mod traffic;

mod child;
mod parent;
mod scored;
mod status;

use std::path::PathBuf;

use clap::Parser;

/// Kills a process with people in state again and again and measures how long the next one takes until it has caught up.
#[derive(Debug, Clone, Parser)]
pub struct Options {
    /// People in state.
    #[arg(long, default_value_t = 1_000_000)]
    pub people: u64,
    /// Events a second, before and after each kill.
    #[arg(long, default_value_t = 2_000)]
    pub rate: u64,
    /// Least time between two snapshots of a partition, milliseconds.
    #[arg(long, default_value_t = 10_000)]
    pub interval_ms: u64,
    /// Partitions.
    #[arg(long, default_value_t = 4)]
    pub partitions: u32,
    /// Worker threads a stage.
    #[arg(long, default_value_t = 1)]
    pub workers: usize,
    /// Kills.
    #[arg(long, default_value_t = 5)]
    pub kills: u32,
    /// Take over from warm standbys in the same process instead: workers are dropped without a word, others take their place.
    #[arg(long)]
    pub standby: bool,
    /// Where log and snapshots are; a temporary folder where it is left out. One that holds people is gone on with.
    #[arg(long)]
    pub folder: Option<PathBuf>,
    /// Only one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Internal: be the process that is killed.
    #[arg(long, hide = true)]
    pub child: bool,
}

fn main() {
    let options = Options::parse();
    if options.child {
        child::run(&options);
    } else {
        parent::run(&options);
    }
}
