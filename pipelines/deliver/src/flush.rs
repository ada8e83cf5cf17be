//! The way of complete batches: intents, inserts, offsets.

use std::collections::BTreeMap;

use millstream_transports::{OffsetCommit, TopicPartition, TransportError};

use crate::batch::BatchId;
use crate::commit::{Ended, commit};
use crate::deliverer::Deliverer;
use crate::error::DeliverError;
use crate::intent::{Intent, Note};
use crate::lane::Phase;
use crate::routes::Route;
use crate::sink::Sink;

impl<S: Sink> Deliverer<S> {
    /// Delivers the open batches of these lanes as far as it goes: intents in one commit, inserts side by side, offsets in one
    /// commit. What fails stays as it is and is tried again after a while.
    pub(crate) fn flush(&mut self, lanes: &[TopicPartition]) -> Result<(), DeliverError> {
        let lanes = &self.in_turn(lanes);
        if !self.seal_and_intend(lanes)? {
            return Ok(());
        }
        self.insert_intended(lanes)?;
        self.commit_inserted(lanes)
    }

    /// The lanes in the order in which they are served: of every topic the batch that waits longest, then of every topic the next. So
    /// a topic with a large backlog, or many partitions, does not keep the others waiting.
    fn in_turn(&self, lanes: &[TopicPartition]) -> Vec<TopicPartition> {
        let opened_ms = |lane: &TopicPartition| {
            self.lanes.get(lane).and_then(|lane| lane.open.as_ref()).map_or(u64::MAX, |open| open.opened_ms)
        };
        let mut by_age: Vec<(u64, TopicPartition)> = lanes.iter().map(|lane| (opened_ms(lane), *lane)).collect();
        by_age.sort_unstable();
        let mut of_topic: BTreeMap<u16, usize> = BTreeMap::new();
        let mut turns: Vec<(usize, u64, TopicPartition)> = Vec::with_capacity(by_age.len());
        for (opened_ms, lane) in by_age {
            let turn = of_topic.entry(lane.topic).or_default();
            turns.push((*turn, opened_ms, lane));
            *turn += 1;
        }
        turns.sort_unstable();
        turns.into_iter().map(|(_, _, lane)| lane).collect()
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
                let metadata = Note::delivered(&route.topic_id);
                OffsetCommit { partition: *partition, offset: batch.last + 1, metadata }
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
            Ok(Ended::Done) => self.log_answers(),
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

    /// Step three.
    fn commit_inserted(&mut self, lanes: &[TopicPartition]) -> Result<(), DeliverError> {
        let offsets: Vec<OffsetCommit> = lanes
            .iter()
            .filter_map(|partition| {
                let open = self.lanes.get(partition)?.open.as_ref().filter(|open| open.phase == Phase::Inserted)?;
                let route = self.routes.get(usize::from(partition.topic))?;
                let metadata = Note::delivered(&route.topic_id);
                Some(OffsetCommit { partition: *partition, offset: open.last + 1, metadata })
            })
            .collect();
        if offsets.is_empty() {
            return Ok(());
        }
        match commit(&mut *self.member, &offsets, false) {
            Ok(Ended::Done) => self.log_answers(),
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
        lane.delivered_timestamp_ms = Some(open.last_timestamp_ms);
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
                match self.member.abort() {
                    Ok(()) => {
                        self.wait_for_log(&error.to_string());
                        Ok(false)
                    }
                    Err(TransportError::Damaged(why)) => Err(self.transport_error(TransportError::Damaged(why))),
                    // What the transaction holds must not be committed with the next attempt: a new member under the same id
                    // ends it, and what was open is read again.
                    Err(abort) => {
                        self.rejoin(&format!("{error}; and the transaction cannot be aborted: {abort}")).map(|()| false)
                    }
                }
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
