//! The simulation finds bugs: each of these is planted, and found within a few seeds. That nothing is found without them the test of
//! the seeds shows, and here the same seeds once more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs)]

use millstream_simulation::mutation::Mutation;
use millstream_simulation::run;

/// Seeds within which a bug must be found.
const SEEDS: u64 = 40;
const STEPS: u64 = 700;

/// Plays seeds until the bug is found, then that seed without the bug.
fn is_found(mutation: Mutation) {
    for seed in 0..SEEDS {
        let (_, found) = run(seed, STEPS, Some(mutation));
        let Some(found) = found else { continue };
        eprintln!("{mutation:?}: found after {} seeds: {found}", seed + 1);
        assert_eq!(run(seed, STEPS, None).1, None, "seed {seed} fails without {mutation:?}");
        return;
    }
    panic!("{mutation:?} was not found in {SEEDS} seeds");
}

#[test]
fn a_skipped_undo_is_found() {
    is_found(Mutation::SkippedUndo);
}

#[test]
fn a_commit_of_a_stale_generation_is_found() {
    is_found(Mutation::StaleCommit);
}

#[test]
fn a_token_that_is_used_again_is_found() {
    is_found(Mutation::ReusedToken);
}

#[test]
fn a_late_event_that_is_dropped_is_found() {
    is_found(Mutation::DroppedLateEvent);
}

#[test]
fn a_replay_that_writes_is_found() {
    is_found(Mutation::ReplayThatEmits);
}

#[test]
fn outputs_that_are_doubled_are_found() {
    is_found(Mutation::DoubledOutputs);
}

#[test]
fn an_acknowledgement_before_the_sync_is_found() {
    is_found(Mutation::EarlyAcknowledgement);
}

#[test]
fn a_timer_that_a_recovery_loses_is_found() {
    is_found(Mutation::LostTimer);
}

#[test]
fn every_mutation_has_its_test() {
    assert_eq!(Mutation::ALL.len(), 8);
}
