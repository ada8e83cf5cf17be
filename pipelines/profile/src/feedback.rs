//! Watermarks of what profile partitions send to each other.
//!
//! Partitions of this stage write to its own input: a hand-over follows from a change of person, a change of owner from the hand-over,
//! a fact about an order from that. What is sent so stands in the log behind everything that ingest has written by then, and where years
//! of history wait in the log, that is years of event time later. The watermark of ingest knows nothing of it.
//!
//! So partitions announce to each other how far they are, in [`ROUNDS`]: in the first, that all input before a time has been
//! processed, and with it sent what follows; in each further one, that what all have announced in the round before has come. When the
//! last round has come from all, everything that follows from input before that time is here. (The tracking of progress through a
//! cycle, as in Murray et al., "Naiad: a timely dataflow system", SOSP 2013, §2.3, with a counter of rounds for the loop's time.)

use millstream_operators::core::encoding::write;
use millstream_operators::core::limits::FEEDBACK_SLACK_MS;
use millstream_operators::core::watermark::{UNKNOWN_MS, WatermarkError, WatermarkGate};
use millstream_operators::core::{StateError, StateReader};

/// The longest way of one input record: change of person, hand-over, change of owner, fact. A source that moves again while it waits for
/// its hand-over goes a longer way, and may be late.
pub const ROUNDS: usize = 3;

/// Announced at most once per this much advance, in each round. Partitions announce to all, so it is seldom: orders are kept for months.
pub const ANNOUNCE_EVERY_MS: i64 = 5 * 86_400_000;

// Time runs that slack ahead of what has come back. All rounds together lag less behind where nothing is on its way, so that it holds
// nothing up there.
const _: () = assert!(FEEDBACK_SLACK_MS > ROUNDS as i64 * ANNOUNCE_EVERY_MS);

/// Version of the encoding.
const VERSION: u8 = 1;

/// What is to be told to all partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    /// 1 to [`ROUNDS`].
    pub round: i32,
    /// The watermark, milliseconds UTC.
    pub time_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sent {
    announced_ms: [i64; ROUNDS],
    /// What has come back in the last round, from all.
    returned_ms: i64,
}

impl Default for Sent {
    fn default() -> Self {
        Self { announced_ms: [UNKNOWN_MS; ROUNDS], returned_ms: UNKNOWN_MS }
    }
}

/// One partition's part in it.
#[derive(Debug, Default)]
pub struct Feedback {
    gates: [WatermarkGate; ROUNDS],
    now: Sent,
    committed: Sent,
}

impl Feedback {
    /// Takes an announcement of any partition in.
    ///
    /// # Errors
    /// Where round or upstream cannot be.
    pub fn take(&mut self, upstream: i32, upstreams: i32, round: i32, time_ms: i64) -> Result<(), FeedbackError> {
        let at = usize::try_from(round).ok().and_then(|round| round.checked_sub(1));
        let gate = at.and_then(|at| self.gates.get_mut(at)).ok_or(FeedbackError::UnknownRound { round })?;
        gate.announce(upstream, upstreams, time_ms)?;
        self.look();
        Ok(())
    }

    /// What this partition has to announce, where its input has come to `input_ms`: at most one announcement a round.
    pub fn due(&mut self, input_ms: i64) -> impl Iterator<Item = Announcement> + use<> {
        let mut due = [None; ROUNDS];
        let mut time_ms = input_ms;
        let rounds = self.gates.iter().zip(&mut self.now.announced_ms).zip(&mut due).zip(1..);
        for (((gate, announced_ms), due), round) in rounds {
            if time_ms != UNKNOWN_MS
                && (*announced_ms == UNKNOWN_MS || time_ms.saturating_sub(*announced_ms) >= ANNOUNCE_EVERY_MS)
            {
                *announced_ms = time_ms;
                *due = Some(Announcement { round, time_ms });
            }
            time_ms = gate.current_ms();
        }
        due.into_iter().flatten()
    }

    /// The time up to which orders and customers may be taken for settled, where the watermark is `watermark_ms`: that, but never more
    /// than [`FEEDBACK_SLACK_MS`] ahead of what has come back from all partitions.
    pub fn settled_ms(&self, watermark_ms: i64) -> i64 {
        match self.now.returned_ms {
            UNKNOWN_MS => UNKNOWN_MS,
            returned_ms => watermark_ms.min(returned_ms.saturating_add(FEEDBACK_SLACK_MS)),
        }
    }

    /// Makes the changes since the last commit permanent.
    pub fn commit(&mut self) {
        self.gates.iter_mut().for_each(WatermarkGate::commit);
        self.committed = self.now;
    }

    /// Takes back the changes since the last commit.
    pub fn undo(&mut self) {
        self.gates.iter_mut().for_each(WatermarkGate::undo);
        self.now = self.committed;
    }

    /// Appends it, for a snapshot. Nothing may be open that could be undone.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        for (gate, announced_ms) in self.gates.iter().zip(self.now.announced_ms) {
            write::long(out, announced_ms);
            let mut announced = Vec::new();
            gate.encode(&mut announced);
            write::bytes(out, &announced);
        }
    }

    /// Reads what [`Feedback::encode`] wrote.
    ///
    /// # Errors
    /// Where it is damaged or of an unknown version.
    pub fn decode(value: &[u8]) -> Result<Self, StateError> {
        let (_, mut reader) = StateReader::versioned(value, VERSION)?;
        let mut read = Self::default();
        for (gate, announced_ms) in read.gates.iter_mut().zip(&mut read.now.announced_ms) {
            *announced_ms = reader.long()?;
            *gate = WatermarkGate::decode(reader.bytes()?)?;
        }
        reader.finish()?;
        read.look();
        read.committed = read.now;
        Ok(read)
    }

    fn look(&mut self) {
        self.now.returned_ms = self.gates.last().map_or(UNKNOWN_MS, WatermarkGate::current_ms);
    }
}

/// Why an announcement was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FeedbackError {
    /// There is no such round.
    #[error("round {round}; there are rounds 1 to {ROUNDS}")]
    UnknownRound {
        /// What it says.
        round: i32,
    },
    /// The numbers contradict each other or what is configured.
    #[error(transparent)]
    Watermark(#[from] WatermarkError),
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;

    fn due(feedback: &mut Feedback, input_ms: i64) -> Vec<(i32, i64)> {
        feedback.due(input_ms).map(|said| (said.round, said.time_ms / DAY_MS)).collect()
    }

    #[test]
    fn time_is_settled_when_every_round_has_come_from_all() {
        let mut feedback = Feedback::default();
        assert_eq!(due(&mut feedback, UNKNOWN_MS), []);
        assert_eq!(due(&mut feedback, 100 * DAY_MS), [(1, 100)]);
        assert_eq!(due(&mut feedback, 104 * DAY_MS), [], "not yet again");
        for (upstream, round, then) in
            [(0, 1, vec![]), (1, 1, vec![(2, 99)]), (1, 2, vec![]), (0, 2, vec![(3, 99)]), (0, 3, vec![])]
        {
            feedback.take(upstream, 2, round, (99 + i64::from(upstream == 0)) * DAY_MS).unwrap();
            assert_eq!((due(&mut feedback, 104 * DAY_MS), feedback.settled_ms(1)), (then, UNKNOWN_MS));
        }
        feedback.take(1, 2, 3, 99 * DAY_MS).unwrap();
        assert_eq!(feedback.settled_ms(104 * DAY_MS), 104 * DAY_MS, "time runs ahead a little");
        assert_eq!(feedback.settled_ms(500 * DAY_MS), 99 * DAY_MS + FEEDBACK_SLACK_MS, "and no further");
    }

    #[test]
    fn what_is_undone_is_announced_again_and_a_snapshot_keeps_it() {
        let mut feedback = Feedback::default();
        assert_eq!(due(&mut feedback, DAY_MS), [(1, 1)]);
        feedback.undo();
        assert_eq!(due(&mut feedback, DAY_MS), [(1, 1)]);
        (1..=3).for_each(|round| feedback.take(0, 1, round, DAY_MS).unwrap());
        assert_eq!(due(&mut feedback, DAY_MS), [(2, 1), (3, 1)]);
        feedback.commit();
        let mut bytes = Vec::new();
        feedback.encode(&mut bytes);
        let mut read = Feedback::decode(&bytes).unwrap();
        assert_eq!((due(&mut read, 2 * DAY_MS), read.settled_ms(2 * DAY_MS)), (vec![], 2 * DAY_MS));
        let mut again = Vec::new();
        read.commit();
        read.encode(&mut again);
        assert_eq!(again, bytes);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut feedback = Feedback::default();
        assert_eq!(feedback.take(0, 1, 0, 0), Err(FeedbackError::UnknownRound { round: 0 }));
        assert_eq!(feedback.take(0, 1, 4, 0), Err(FeedbackError::UnknownRound { round: 4 }));
        assert!(matches!(feedback.take(1, 1, 1, 0), Err(FeedbackError::Watermark(_))));
    }
}
