//! What must hold of every seed, whatever was done to it.

mod convergence;
mod ledger;
mod once;
mod replays;
mod tables;
mod undisturbed;

use std::fmt;

use crate::world::World;

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: &'static str,
    /// The scheduler's step at which it showed.
    pub step: u64,
    /// What was found, and where.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: {}: {}", self.step, self.invariant, self.detail)
    }
}

/// What a check returns.
type Checked = Result<(), Violation>;

fn violation(invariant: &'static str, detail: impl Into<String>) -> Violation {
    Violation { invariant, step: 0, detail: detail.into() }
}

/// Checks what is checked once all has come to rest.
///
/// # Errors
/// The first violation.
pub fn check(world: &World) -> Checked {
    once::check(world)?;
    replays::check(world)?;
    ledger::check(world)?;
    tables::check(world)?;
    convergence::check(world)
}
