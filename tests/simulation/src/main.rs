//! Plays many seeds and says what it found.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use millstream_simulation::plan::Plan;
use millstream_simulation::tally::Tally;
use millstream_simulation::{STEPS, play};

/// Plays Millstream on a log and a warehouse in memory while everything goes wrong that can, and checks its promises.
///
/// A seed decides everything: traffic, settings, who goes on next, what fails and when. The real ingest, profile and deliver code
/// runs; log, warehouse, time and scheduling are simulated, in one thread. After the steps of a seed faults end, all comes to rest,
/// and then every acknowledged event must have one fate, every committed partition be what a replay of its input gives, the current
/// views be those of an undisturbed run, and the warehouse's tables equal the topics row by row.
#[derive(Debug, Parser)]
#[command(
    name = "simulate",
    after_help = "Examples:\n  simulate                         1,000 seeds of 1,000 steps: a million steps\n  simulate --seeds 20 --steps 300  a quick look\n  simulate --from 5000             other seeds\n  simulate --seed 17               one seed again, as a violation's report says\n\nEnds with 1 where a promise was broken; the report names the seed and the command that repeats it."
)]
struct Arguments {
    /// How many seeds to play.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// Steps of the scheduler in each, before faults end.
    #[arg(long, default_value_t = STEPS)]
    steps: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Play this seed only.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// With standbys: half of the seeds that take snapshots keep some.
    #[arg(long)]
    standbys: bool,
    /// Go on after a violation, and report all.
    #[arg(long)]
    keep_going: bool,
}

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "a command speaks to who runs it")]
#[allow(clippy::disallowed_methods, reason = "how long it took is for the reader; nothing simulated sees it")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (from, count) = arguments.seed.map_or((arguments.from, arguments.seeds), |seed| (seed, 1));
    let started = Instant::now();
    let bar = ProgressBar::new(count);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {msg}, {eta} left") {
        bar.set_style(style);
    }
    let mut tally = Tally::default();
    let mut violations = 0u64;
    for seed in from..from.saturating_add(count) {
        let plan = Plan::of(seed, arguments.steps);
        let (played, violation) = play(if arguments.standbys { plan } else { plan.without_standbys() });
        tally.add(&played);
        bar.set_message(format!("{} steps", tally.steps));
        bar.inc(1);
        if let Some(violation) = violation {
            violations += 1;
            let standbys = if arguments.standbys { " --standbys" } else { "" };
            let again =
                format!("cargo run -p millstream-simulation -- --seed {seed} --steps {}{standbys}", arguments.steps);
            bar.suspend(|| eprintln!("seed {seed}: {violation}\n  again: {again}"));
            if !arguments.keep_going {
                break;
            }
        }
    }
    bar.finish_and_clear();
    print!("{tally}");
    println!("{:24} {violations:>12}", "violations");
    println!("in {:.1} s", started.elapsed().as_secs_f64());
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
