//! Inserts side by side: rounds of a few, in turn, as long as the sink takes them.

use std::collections::{BTreeSet, VecDeque};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use millstream_runtime::Clock;
use millstream_transports::TopicPartition;

use crate::batch::BatchId;
use crate::cause::Cause;
use crate::deliverer::Deliverer;
use crate::error::DeliverError;
use crate::lane::{OpenBatch, Phase};
use crate::sink::{Holding, Sink, SinkError};
use crate::troubles::Waits;

/// After so much time of inserting the log is polled again before the next round: a member that never polls is taken for dead.
const POLL_AGAIN_AFTER_MS: u64 = 5_000;

/// How an insert ended.
enum Inserted {
    /// The rows are in.
    Done,
    /// The intent is too old for the sink's memory and no row is in: the intent must be renewed first.
    IntentTooOld,
    /// They are not, or nobody knows.
    Failed(SinkError),
}

/// A batch on its way into the sink.
struct Work<'a, R> {
    partition: TopicPartition,
    batch: BatchId,
    at_ms: i64,
    open: &'a mut OpenBatch<R>,
}

/// What came of it.
struct Outcome {
    partition: TopicPartition,
    batch: BatchId,
    inserted: Inserted,
    took: Duration,
}

impl<S: Sink> Deliverer<S> {
    /// Step two of a flush: inserts what is intended, in the order of `lanes`. What the sink does not take stays as it is.
    pub(crate) fn insert_intended(&mut self, lanes: &[TopicPartition]) -> Result<(), DeliverError> {
        let started_ms = self.monotonic_ms();
        let mut waiting: VecDeque<TopicPartition> = lanes.iter().copied().collect();
        while !waiting.is_empty() && self.monotonic_ms().saturating_sub(started_ms) <= POLL_AGAIN_AFTER_MS {
            let round = self.next_round(&mut waiting);
            if round.is_empty() {
                break;
            }
            for outcome in self.insert_round(&round) {
                self.note_insert(outcome)?;
            }
        }
        Ok(())
    }

    /// Takes the next batches from the front that may be tried now. Where something is in trouble, one batch tries the water and the
    /// others follow if it is through.
    fn next_round(&self, waiting: &mut VecDeque<TopicPartition>) -> Vec<TopicPartition> {
        let now_ms = self.monotonic_ms();
        let abreast = if self.troubles.of_sink().is_some() { 1 } else { self.config.limits.parallel_inserts };
        let mut tried: BTreeSet<&str> = BTreeSet::new();
        let mut round = Vec::new();
        let mut later = VecDeque::new();
        while let Some(partition) = waiting.pop_front() {
            if round.len() == abreast {
                later.push_back(partition);
                continue;
            }
            let Some(route) = self.routes.get(usize::from(partition.topic)) else { continue };
            let intended = self.lanes.get(&partition).and_then(|lane| lane.open.as_ref());
            if !intended.is_some_and(|open| matches!(open.phase, Phase::Intended { .. })) {
                continue;
            }
            if now_ms < self.troubles.retry_ms(route.table) {
                // Its turn comes when the wait is over.
                continue;
            }
            if self.troubles.of_table(route.table).is_some() && !tried.insert(route.table) {
                later.push_back(partition);
                continue;
            }
            round.push(partition);
        }
        *waiting = later;
        round
    }

    fn insert_round(&mut self, round: &[TopicPartition]) -> Vec<Outcome> {
        let (sink, routes, clock) = (&self.sink, &self.routes, &*self.clock);
        let mut works: Vec<Work<'_, S::Rows>> = Vec::with_capacity(round.len());
        for (partition, lane) in &mut self.lanes {
            let Some(open) = lane.open.as_mut().filter(|_| round.contains(partition)) else { continue };
            let Some(route) = routes.get(usize::from(partition.topic)) else { continue };
            if let Phase::Intended { at_ms } = open.phase {
                works.push(Work { partition: *partition, batch: open.id(route, partition.partition), at_ms, open });
            }
        }
        works.sort_by_key(|work| round.iter().position(|partition| *partition == work.partition));
        if works.len() == 1 {
            return works.into_iter().map(|work| run(sink, work, clock)).collect();
        }
        std::thread::scope(|scope| {
            let running: Vec<_> = works
                .into_iter()
                .map(|work| {
                    let name = (work.partition, work.batch.clone());
                    (name, scope.spawn(move || run(sink, work, clock)))
                })
                .collect();
            let join = |((partition, batch), thread): ((TopicPartition, BatchId), ScopedJoinHandle<'_, Outcome>)| {
                let panicked = || SinkError::Unavailable("the inserting thread panicked".to_owned());
                thread.join().unwrap_or_else(|_| Outcome {
                    partition,
                    batch,
                    inserted: Inserted::Failed(panicked()),
                    took: Duration::ZERO,
                })
            };
            running.into_iter().map(join).collect()
        })
    }

    /// What an insert's end means for its lane.
    fn note_insert(&mut self, outcome: Outcome) -> Result<(), DeliverError> {
        let now_ms = self.monotonic_ms();
        let Outcome { partition, batch, inserted, took } = outcome;
        let table = batch.table;
        let Some(open) = self.lanes.get_mut(&partition).and_then(|lane| lane.open.as_mut()) else { return Ok(()) };
        match inserted {
            Inserted::Done => {
                open.phase = Phase::Inserted;
                self.metrics.inserted(table, took);
                for (over, lasted_ms) in self.troubles.went_well(table, now_ms) {
                    let (cause, attempts) = (over.cause.as_str(), over.failures);
                    tracing::info!(
                        group = self.config.group,
                        table,
                        cause,
                        attempts,
                        lasted_ms,
                        "the sink takes batches again"
                    );
                }
                Ok(())
            }
            Inserted::IntentTooOld => {
                // Nothing of it is in: the intent is renewed and the insert comes with the next round.
                open.phase = Phase::Sealed;
                self.stats.renewed_intents += 1;
                Ok(())
            }
            Inserted::Failed(error) => {
                let Some(cause) = error.cause() else {
                    let why = match error {
                        SinkError::Conflict(why) => why,
                        other => other.to_string(),
                    };
                    return Err(DeliverError::Conflict {
                        group: self.config.group.clone(),
                        batch: batch.to_string(),
                        why,
                    });
                };
                self.note_failure(&batch, cause, error.to_string(), now_ms);
                Ok(())
            }
        }
    }

    fn note_failure(&mut self, batch: &BatchId, cause: Cause, why: String, now_ms: u64) {
        self.stats.failed_inserts += 1;
        *self.stats.retries.entry((batch.table, cause)).or_default() += 1;
        let waits = Waits { min_ms: self.config.min_backoff_ms, max_ms: self.config.max_backoff_ms };
        let trouble = self.troubles.failed(batch.table, cause, why, now_ms, waits);
        let (attempt, retry_in_ms) = (trouble.failures, trouble.retry_ms - now_ms);
        tracing::warn!(
            group = self.config.group,
            batch = %batch,
            cause = cause.as_str(),
            error = trouble.why,
            attempt,
            retry_in_ms,
            "insert failed; it will be tried again"
        );
    }
}

fn run<S: Sink>(sink: &S, work: Work<'_, S::Rows>, clock: &dyn Clock) -> Outcome {
    let Work { partition, batch, at_ms, open } = work;
    let started = clock.monotonic();
    let inserted = insert(sink, &batch, &mut open.rows, clock.now_ms() - at_ms);
    Outcome { partition, batch, inserted, took: clock.monotonic().saturating_sub(started) }
}

/// Inserts one batch, unless its intent is so old that the sink's memory cannot be trusted: then the table itself is asked. An intent
/// from the future (the clock was set back) is as little to be trusted.
fn insert<S: Sink>(sink: &S, batch: &BatchId, rows: &mut S::Rows, intent_age_ms: i64) -> Inserted {
    if (0..=sink.trusts_token_ms()).contains(&intent_age_ms) {
        return sink.insert(batch, rows).map_or_else(Inserted::Failed, |()| Inserted::Done);
    }
    match sink.holds(batch) {
        Ok(Holding::Everything) => Inserted::Done,
        Ok(Holding::Nothing) => Inserted::IntentTooOld,
        Ok(Holding::Part { rows }) => Inserted::Failed(SinkError::Conflict(format!(
            "{rows} of its {} rows are in the table; remove the rows of this partition and offset range from {} and start again",
            batch.rows, batch.table
        ))),
        Err(error) => Inserted::Failed(error),
    }
}
