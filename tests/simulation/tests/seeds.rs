//! A short run of the simulation, for every test run; the long one is the command `simulate`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs)]

use millstream_simulation::plan::Plan;
use millstream_simulation::tally::{Strike, Tally};
use millstream_simulation::{play, run};

const SEEDS: u64 = 32;
const STEPS: u64 = 700;
/// Seeds that other tests do not play.
const FROM: u64 = 1_000_000;

#[test]
fn what_is_promised_holds_while_everything_goes_wrong() {
    let mut tally = Tally::default();
    for seed in FROM..FROM + SEEDS {
        let (played, violation) = run(seed, STEPS, None);
        if let Some(violation) = violation {
            panic!(
                "seed {seed}: {violation}\nagain: cargo run -p millstream-simulation -- --seed {seed} --steps {STEPS}"
            );
        }
        tally.add(&played);
    }
    eprintln!("{tally}");
    // What never happens is not tested.
    let strikes = [
        Strike::CommitUnknownApplied,
        Strike::CommitUnknownDropped,
        Strike::CommitAborted,
        Strike::CommitFenced,
        Strike::Rebalance,
        Strike::MembershipLost,
        Strike::ForeignOffsetCommit,
        Strike::AppendFailed,
        Strike::AppendStoredButFailed,
        Strike::AppendsLost,
        Strike::SentAgain,
        Strike::ProcessKilled,
        Strike::KilledInCall,
        Strike::ProcessLeft,
        Strike::LogRestarted,
        Strike::PowerLost,
        Strike::LogUnreachable,
        Strike::FrozenInCall,
        Strike::AllFrozen,
        Strike::SplitBrain,
        Strike::InsertFailed,
        Strike::InsertStoredButFailed,
        Strike::WarehouseDown,
        Strike::StoreFailed,
        Strike::StoredButFailed,
        Strike::SnapshotHarmed,
        Strike::LogTrimmed,
    ];
    let never: Vec<Strike> = strikes.into_iter().filter(|strike| tally.count(*strike) == 0).collect();
    assert!(never.is_empty(), "never struck: {never:?}");
    assert!(tally.hand_overs > 20 && tally.too_late > 50 && tally.orders > 50, "{tally}");
    assert!(tally.snapshots > 100 && tally.restored > 50, "{tally}");
}

/// Standbys that fell behind the beginning of the log were taken over all the same: one of these stopped, one lost input silently.
#[test]
fn a_standby_that_the_log_has_left_behind_is_not_taken() {
    for seed in [20, 675, 840] {
        let (tally, violation) = play(Plan::of(seed, 1_000));
        assert_eq!(violation, None, "seed {seed}, with standbys");
        assert!(tally.from_standby > 0, "{tally}");
    }
}

#[test]
fn a_seed_is_one_and_the_same_run() {
    let play = || {
        let (tally, violation) = run(FROM + 7, STEPS, None);
        (tally.to_string(), violation)
    };
    assert_eq!(play(), play());
}
