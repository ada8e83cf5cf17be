//! The deterministic simulation: the real runtime, the real stages and the real deliverer on a log and a warehouse in memory, under
//! a scheduler that one seed determines. It crashes, cuts, freezes, fences, rebalances and repeats, and checks what Millstream
//! promises of all that: nothing lost, nothing twice, the same log gives the same bytes, the same input the same answers.
//!
//! One seed is one [`run`]. One thread, no wall clock: a seed that fails, fails again, step by step the same.
//!
//! * [`plan`]: what a seed decides beforehand · [`traffic`], [`client`]: what is sent, and what was acknowledged
//! * [`world`]: the scheduler · [`log`], [`sink`]: the ways to log and warehouse, on which a call can be the last
//! * [`watch`], [`invariants`]: what is checked at every look, and in the end · [`mutation`]: bugs that it must find
//! * [`committed`], [`views`], [`replay`]: references that other suites compare with too

pub mod client;
pub mod clock;
pub mod committed;
pub mod invariants;
pub mod log;
pub mod mutation;
pub mod plan;
pub mod random;
pub mod replay;
pub mod shelf;
pub mod sink;
pub mod tally;
pub mod topology;
pub mod traffic;
pub mod views;
pub mod watch;
pub mod world;

use invariants::Violation;
use mutation::Mutation;
use plan::Plan;
use tally::Tally;

/// Steps of a seed by default.
pub const STEPS: u64 = 1_000;

/// Plays one seed, without standbys.
pub fn run(seed: u64, steps: u64, mutation: Option<Mutation>) -> (Tally, Option<Violation>) {
    play(Plan { mutation, ..Plan::of(seed, steps) }.without_standbys())
}

/// Plays one plan.
pub fn play(plan: Plan) -> (Tally, Option<Violation>) {
    let world = match world::World::new(plan) {
        Ok(world) => world,
        Err(error) => {
            let violation = Violation { invariant: "the log can be made", step: 0, detail: error.to_string() };
            return (Tally::default(), Some(violation));
        }
    };
    world.run();
    (world.tally(), world.violation())
}
