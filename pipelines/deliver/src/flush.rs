//! The way of complete batches: intents, inserts, offsets.

use millstream_transports::{OffsetCommit, TopicPartition, TransportError};

use crate::batch::BatchId;
use crate::commit::{Ended, commit};
use crate::deliverer::Deliverer;
use crate::error::DeliverError;
use crate::intent::Intent;
use crate::lane::{Lane, OpenBatch, Phase};
use crate::routes::Route;
use crate::sink::{Holding, Sink, SinkError};

/// How an insert ended.
enum Inserted {
    /// The rows are in.
    Done,
    /// The intent is too old for the sink's memory and no row is in: the intent must be renewed first.
    IntentTooOld,
    /// They are not, or nobody knows.
    Failed(SinkError),
}

impl<S: Sink> Deliverer<S> {
    /// Delivers the open batches of these lanes as far as it goes: intents in one commit, inserts side by side, offsets in one
    /// commit. What fails stays as it is and is tried again after a while.
    pub(crate) fn flush(&mut self, lanes: &[TopicPartition]) -> Result<(), DeliverError> {
        if !self.seal_and_intend(lanes)? {
            return Ok(());
        }
        self.insert_intended(lanes)?;
        self.commit_inserted(lanes)
    }

    /// Step one. Batches without rows need no intent: their offset goes at once. False where nothing is to be done further.
    fn seal_and_intend(&mut self, lanes: &[TopicPartition]) -> Result<bool, DeliverError> {
        let at_ms = self.clock.now_ms();
        let (mut offsets, mut transactional) = (Vec::new(), false);
        for partition in lanes {
            let Some(lane) = self.lanes.get_mut(partition) else { continue };
            let Some(route) = self.routes.get(usize::from(partition.topic)) else { continue };
            let Some(open) = lane.open.as_mut().filter(|open| matches!(open.phase, Phase::Filling | Phase::Sealed))
            else {
                continue;
            };
            open.phase = Phase::Sealed;
            let batch = open.id(route, partition.partition);
            if let Some(intended) = &lane.rebuilding {
                check_rebuilt(&self.config.group, route, partition.partition, intended, &batch)?;
                // Its dead letters went out with the intent.
                open.dead_letters.clear();
                open.phase = Phase::Intended { at_ms: intended.at_ms };
                lane.rebuilding = None;
                self.stats.rebuilt += 1;
                tracing::info!(batch = %batch, "rebuilt the intended batch");
                continue;
            }
            for letter in &open.dead_letters {
                transactional = true;
                if let Err(error) = letter.send(&mut *self.member, &self.config.schema_ids, self.dead_letter_partitions)
                {
                    return self.not_sent(error);
                }
            }
            let commit = if batch.rows == 0 {
                OffsetCommit { partition: *partition, offset: batch.last + 1, metadata: String::new() }
            } else {
                let metadata = batch
                    .intent(at_ms)
                    .encode()
                    .map_err(|error| DeliverError::Config(format!("intent of {batch}: {error}")))?;
                OffsetCommit { partition: *partition, offset: lane.committed, metadata }
            };
            offsets.push(commit);
        }
        if offsets.is_empty() {
            return Ok(true);
        }
        match commit(&mut *self.member, &offsets, transactional) {
            Ok(Ended::Done) => {}
            ended => return self.not_committed(ended, lanes).map(|()| false),
        }
        for committed in &offsets {
            let Some(lane) = self.lanes.get_mut(&committed.partition) else { continue };
            let Some(open) = &mut lane.open else { continue };
            open.dead_letters.clear();
            open.dead_letter_bytes = 0;
            if open.row_count == 0 {
                self.finish(committed.partition, committed.offset);
            } else {
                open.phase = Phase::Intended { at_ms };
            }
        }
        Ok(true)
    }

    /// Step two.
    fn insert_intended(&mut self, lanes: &[TopicPartition]) -> Result<(), DeliverError> {
        let (sink, routes) = (&self.sink, &self.routes);
        let mut work: Vec<(TopicPartition, BatchId, i64, &mut OpenBatch<S::Rows>)> = Vec::new();
        for (partition, lane) in &mut self.lanes {
            let Some(open) = lane.open.as_mut().filter(|_| lanes.contains(partition)) else { continue };
            let Some(route) = routes.get(usize::from(partition.topic)) else { continue };
            if let Phase::Intended { at_ms } = open.phase {
                work.push((*partition, open.id(route, partition.partition), at_ms, open));
            }
        }
        let mut ended: Vec<(TopicPartition, BatchId, Inserted)> = Vec::with_capacity(work.len());
        while !work.is_empty() {
            // After a failure one batch tries the water; the others follow if it is through.
            let abreast = if self.outage { 1 } else { self.config.limits.parallel_inserts };
            let round: Vec<_> = work.drain(..abreast.min(work.len())).collect();
            let clock = &*self.clock;
            let results: Vec<_> = if round.len() == 1 {
                round
                    .into_iter()
                    .map(|(partition, batch, at_ms, open)| {
                        let inserted = insert(sink, &batch, &mut open.rows, clock.now_ms() - at_ms);
                        (partition, batch, inserted)
                    })
                    .collect()
            } else {
                std::thread::scope(|scope| {
                    let running: Vec<_> = round
                        .into_iter()
                        .map(|(partition, batch, at_ms, open)| {
                            let name = batch.clone();
                            let rows = &mut open.rows;
                            let run = scope.spawn(move || insert(sink, &batch, rows, clock.now_ms() - at_ms));
                            (partition, name, run)
                        })
                        .collect();
                    let join = |run: std::thread::ScopedJoinHandle<'_, Inserted>| {
                        run.join().unwrap_or_else(|_| {
                            Inserted::Failed(SinkError::Unavailable("the inserting thread panicked".to_owned()))
                        })
                    };
                    running.into_iter().map(|(partition, batch, run)| (partition, batch, join(run))).collect()
                })
            };
            let down =
                results.iter().any(|(_, _, result)| matches!(result, Inserted::Failed(SinkError::Unavailable(_))));
            ended.extend(results);
            self.outage = down;
            if down {
                break;
            }
        }
        drop(work);
        for (partition, batch, result) in ended {
            self.note_insert(partition, &batch, result)?;
        }
        if self.outage {
            // Those whose turn did not come wait with the others.
            self.sink_retry_ms = self.lanes.values().map(|lane| lane.retry_ms).max().unwrap_or(0);
        } else {
            self.sink_retry_ms = 0;
        }
        Ok(())
    }

    /// What an insert's end means for its lane.
    fn note_insert(
        &mut self,
        partition: TopicPartition,
        batch: &BatchId,
        result: Inserted,
    ) -> Result<(), DeliverError> {
        let monotonic_ms = self.monotonic_ms();
        let Some(lane) = self.lanes.get_mut(&partition) else { return Ok(()) };
        let Some(open) = &mut lane.open else { return Ok(()) };
        match result {
            Inserted::Done => {
                open.phase = Phase::Inserted;
                lane.failures = 0;
                Ok(())
            }
            Inserted::IntentTooOld => {
                // Nothing of it is in: the intent is renewed and the insert comes with the next round.
                open.phase = Phase::Sealed;
                Ok(())
            }
            Inserted::Failed(SinkError::Conflict(why)) => {
                Err(DeliverError::Conflict { group: self.config.group.clone(), batch: batch.to_string(), why })
            }
            Inserted::Failed(error) => {
                lane.failures = lane.failures.saturating_add(1);
                let wait_ms = backoff_ms(self.config.min_backoff_ms, self.config.max_backoff_ms, lane.failures);
                lane.retry_ms = monotonic_ms + wait_ms;
                self.stats.failed_inserts += 1;
                tracing::warn!(batch = %batch, %error, attempt = lane.failures, retry_in_ms = wait_ms, "insert failed");
                Ok(())
            }
        }
    }

    /// Step three.
    fn commit_inserted(&mut self, lanes: &[TopicPartition]) -> Result<(), DeliverError> {
        let offsets: Vec<OffsetCommit> = lanes
            .iter()
            .filter_map(|partition| {
                let open = self.lanes.get(partition)?.open.as_ref().filter(|open| open.phase == Phase::Inserted)?;
                Some(OffsetCommit { partition: *partition, offset: open.last + 1, metadata: String::new() })
            })
            .collect();
        if offsets.is_empty() {
            return Ok(());
        }
        match commit(&mut *self.member, &offsets, false) {
            Ok(Ended::Done) => {}
            ended => return self.not_committed(ended, lanes),
        }
        for committed in offsets {
            self.finish(committed.partition, committed.offset);
        }
        Ok(())
    }

    /// The batch is delivered: counts it and makes room for the next.
    fn finish(&mut self, partition: TopicPartition, committed: u64) {
        let Some(lane) = self.lanes.get_mut(&partition) else { return };
        let Some(open) = lane.open.take() else { return };
        lane.committed = committed;
        self.stats.skipped += open.skipped;
        self.stats.rejected += open.rejected;
        if let Some(route) = self.routes.get(usize::from(partition.topic)) {
            let table = self.stats.table(route.table);
            table.rows += open.row_count;
            table.batches += u64::from(open.row_count > 0);
            table.filtered += open.filtered;
        }
    }

    /// A dead letter could not be sent: the transaction is undone and everything tried again.
    fn not_sent(&mut self, error: TransportError) -> Result<bool, DeliverError> {
        match error {
            TransportError::QueueFull { .. } | TransportError::Unavailable(_) => {
                self.member.abort().map_err(|source| self.transport_error(source))?;
                self.wait_for_log(&error.to_string());
                Ok(false)
            }
            TransportError::Fenced(why) => self.rejoin(&why).map(|()| false),
            source => Err(self.transport_error(source)),
        }
    }

    /// A commit did not go through.
    fn not_committed(
        &mut self,
        ended: Result<Ended, TransportError>,
        lanes: &[TopicPartition],
    ) -> Result<(), DeliverError> {
        match ended {
            Ok(Ended::Done) => Ok(()),
            Ok(Ended::Retry(why)) => {
                tracing::warn!(why, partitions = lanes.len(), "commit failed; it will be tried again");
                self.wait_for_log(&why);
                Ok(())
            }
            Ok(Ended::Fenced(why)) => self.rejoin(&why),
            Err(source) => Err(self.transport_error(source)),
        }
    }
}

/// Inserts one batch, unless its intent is so old that the sink's memory cannot be trusted: then the table itself is asked.
fn insert<S: Sink>(sink: &S, batch: &BatchId, rows: &mut S::Rows, intent_age_ms: i64) -> Inserted {
    if intent_age_ms <= sink.trusts_token_ms() {
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

/// Compares what was rebuilt with what was intended.
fn check_rebuilt(
    group: &str,
    route: &Route,
    partition: u32,
    intended: &Intent,
    rebuilt: &BatchId,
) -> Result<(), DeliverError> {
    let now = rebuilt.intent(intended.at_ms);
    if now.same_batch(intended) {
        return Ok(());
    }
    Err(DeliverError::Mismatch {
        group: group.to_owned(),
        topic: route.topic.clone(),
        partition,
        table: route.table,
        intended: Box::new(intended.clone()),
        why: format!("the log now gives {rebuilt}"),
    })
}

/// Doubles with every failure, up to a limit.
fn backoff_ms(min_ms: u64, max_ms: u64, failures: u32) -> u64 {
    let doublings = failures.saturating_sub(1).min(20);
    min_ms.saturating_mul(1 << doublings).min(max_ms)
}

impl<R> Lane<R> {
    /// Whether its batch waits for the sink or the log.
    pub(crate) fn is_stuck(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.phase != Phase::Filling)
    }
}

#[cfg(test)]
mod tests {
    use super::backoff_ms;

    #[test]
    fn waits_double_up_to_the_limit() {
        let waits: Vec<u64> = (1..=8).map(|failures| backoff_ms(100, 3_000, failures)).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1_600, 3_000, 3_000, 3_000]);
        assert_eq!(backoff_ms(100, 3_000, u32::MAX), 3_000);
    }
}
