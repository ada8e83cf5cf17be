//! One suite for every transport: what a caller may rely on, checked from outside, through the interface alone.
//!
//! A transport gives a [`Fixture`] and calls [`run_all`]. The checks wait until something holds, with a generous limit, and never
//! measure time; they never take offsets for dense; every check makes topics and groups of its own, so that the suite can run
//! again and again against one broker.

mod appends;
mod driver;
mod groups;
mod outcomes;
mod positions;
mod transactions;

use std::fmt;

use crate::{Transport, TransportError};

pub use appends::{append_is_acknowledged_and_read_back, order_within_a_partition, too_large_records_are_refused};
pub use groups::{
    a_foreign_partition_is_not_committed, a_rebalance_covers_every_partition_once, a_replaced_instance_is_fenced,
};
pub use outcomes::{a_restart_keeps_everything, an_unknown_outcome_is_settled};
pub use positions::{
    a_changed_partition_count_is_refused, earliest_seek_pause_and_resume, metadata_is_kept_beside_offsets,
    missing_topics_are_named,
};
pub use transactions::{
    a_transactional_id_fences_its_older_holder, offsets_have_gaps_and_at_end_tells_the_truth,
    open_and_aborted_transactions_are_invisible, outputs_and_offsets_commit_together,
};

/// A log under test.
pub trait Fixture {
    /// The log.
    fn transport(&self) -> &dyn Transport;

    /// Does what a restart of the process does. Nothing that the old transport gave is used afterwards.
    fn reopen(&mut self) -> Result<(), TransportError>;

    /// Arranges that the next commit's outcome is unknown, and that it is applied or not. False where that cannot be arranged; the
    /// checks that need it are then skipped, by name.
    fn next_commit_is_unknown(&mut self, applied: bool) -> bool {
        let _ = applied;
        false
    }
}

/// Why a check did not hold.
#[derive(Debug)]
pub struct Failure(pub String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        Self(format!("the transport answered: {error}"))
    }
}

/// How a check ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It held.
    Held,
    /// It could not be tried, and why.
    Skipped(&'static str),
}

/// The result of one check.
pub type Verdict = Result<Outcome, Failure>;

/// One check.
pub type Check = fn(&mut dyn Fixture) -> Verdict;

/// All checks by name, in the order of [`run_all`].
pub const CHECKS: &[(&str, Check)] = &[
    ("append_is_acknowledged_and_read_back", append_is_acknowledged_and_read_back),
    ("order_within_a_partition", order_within_a_partition),
    ("too_large_records_are_refused", too_large_records_are_refused),
    ("open_and_aborted_transactions_are_invisible", open_and_aborted_transactions_are_invisible),
    ("offsets_have_gaps_and_at_end_tells_the_truth", offsets_have_gaps_and_at_end_tells_the_truth),
    ("outputs_and_offsets_commit_together", outputs_and_offsets_commit_together),
    ("a_transactional_id_fences_its_older_holder", a_transactional_id_fences_its_older_holder),
    ("a_replaced_instance_is_fenced", a_replaced_instance_is_fenced),
    ("a_foreign_partition_is_not_committed", a_foreign_partition_is_not_committed),
    ("a_rebalance_covers_every_partition_once", a_rebalance_covers_every_partition_once),
    ("metadata_is_kept_beside_offsets", metadata_is_kept_beside_offsets),
    ("a_changed_partition_count_is_refused", a_changed_partition_count_is_refused),
    ("missing_topics_are_named", missing_topics_are_named),
    ("earliest_seek_pause_and_resume", earliest_seek_pause_and_resume),
    ("an_unknown_outcome_is_settled", an_unknown_outcome_is_settled),
    ("a_restart_keeps_everything", a_restart_keeps_everything),
];

/// What [`run_all`] did.
#[derive(Debug, Default)]
pub struct Report {
    /// Names of the checks that held.
    pub held: Vec<&'static str>,
    /// Names of the checks that were not tried, with the reason.
    pub skipped: Vec<(&'static str, &'static str)>,
    /// Names of the checks that failed, with the reason.
    pub failed: Vec<(&'static str, String)>,
}

/// Runs every check, also after a failure.
pub fn run_all(fixture: &mut dyn Fixture) -> Report {
    let mut report = Report::default();
    for &(name, check) in CHECKS {
        match check(fixture) {
            Ok(Outcome::Held) => report.held.push(name),
            Ok(Outcome::Skipped(why)) => report.skipped.push((name, why)),
            Err(failure) => report.failed.push((name, failure.0)),
        }
    }
    report
}

/// Fails the check unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::conformance::Failure(format!($($message)+)));
        }
    };
}
pub(crate) use ensure;
