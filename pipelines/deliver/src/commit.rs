//! Commits of offsets, intents and dead letters, with every way they can end.

use millstream_transports::{CommitOutcome, Committed, Member, OffsetCommit, TransportError};

/// How a commit ended, seen from the deliverer.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It is in the log.
    Done,
    /// It is not, and may be tried again.
    Retry(String),
    /// Another member owns a partition now: forget everything and join anew.
    Fenced(String),
}

/// Commits `offsets`; in one transaction with what was sent before, where `transactional`.
pub(crate) fn commit(
    member: &mut dyn Member,
    offsets: &[OffsetCommit],
    transactional: bool,
) -> Result<Ended, TransportError> {
    let outcome = if transactional { member.commit(offsets) } else { member.commit_offsets(offsets) };
    match outcome {
        CommitOutcome::Committed => Ok(Ended::Done),
        CommitOutcome::Aborted(why) => Ok(Ended::Retry(why)),
        CommitOutcome::Fenced(why) => Ok(Ended::Fenced(why)),
        CommitOutcome::Unknown(why) => settle(member, offsets, why),
    }
}

/// Finds out what became of a commit that nobody answered for. A transaction is one: one of its offsets tells for all.
fn settle(member: &mut dyn Member, offsets: &[OffsetCommit], why: String) -> Result<Ended, TransportError> {
    match member.settle() {
        Ok(()) => {}
        Err(TransportError::Fenced(why)) => return Ok(Ended::Fenced(why)),
        Err(TransportError::Unavailable(why)) => return Ok(Ended::Retry(why)),
        Err(error) => return Err(error),
    }
    for wanted in offsets {
        let found = match member.committed(wanted.partition) {
            Ok(found) => found,
            // Not knowing is safe only as a fresh start: what the log says then is the truth.
            Err(TransportError::Unavailable(why) | TransportError::Fenced(why)) => return Ok(Ended::Fenced(why)),
            Err(error) => return Err(error),
        };
        let is_there = |found: &Committed| found.offset == wanted.offset && found.metadata == wanted.metadata;
        if !found.as_ref().is_some_and(is_there) {
            return Ok(Ended::Retry(why));
        }
    }
    Ok(Ended::Done)
}
