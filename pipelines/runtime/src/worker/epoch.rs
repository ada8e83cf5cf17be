//! Processing, and the ways in which an epoch ends.

use std::hint::black_box;
use std::sync::atomic::Ordering;
use std::time::Duration;

use millstream_transports::{Batch, CommitOutcome, OffsetCommit, RecordRef, TopicPartition, TransportError};

use super::ledger::{is_stamped, stamp};
use super::{ABORTS_BEFORE_REST, REST, Worker, WorkerError};
use crate::stage::WARM_RECORDS;
use crate::task::{Processed, Task};

/// What memory is fetched by.
const CACHE_LINE_BYTES: usize = 64;
/// How much of a record is fetched ahead, in lines: few are longer than 2 KiB.
const WARM_LINES: usize = 32;

fn place(record: &RecordRef<'_>) -> TopicPartition {
    TopicPartition { topic: record.topic, partition: record.partition }
}

impl Worker {
    pub(super) fn process_batch(&mut self) -> Result<(), WorkerError> {
        if self.epoch_started.is_none() {
            self.epoch_started = Some(self.clock.monotonic());
        }
        let batch = std::mem::take(&mut self.batch);
        let mut live = 0;
        let mut replayed = 0;
        let mut result = Ok(());
        let mut first_left = batch.len();
        for (index, record) in batch.iter().enumerate() {
            // A record may cause many (a leap of the watermark, a touch that many orders share): what a transaction cannot hold would
            // be tried for ever.
            if self.out.size_bytes() >= self.config.limits.max_bytes {
                first_left = index;
                break;
            }
            if index % WARM_RECORDS == 0 {
                self.warm(&batch, index);
            }
            let at = place(&record);
            // Our own filter: the broker does not check who owns a partition.
            let Some(task) = self.tasks.get_mut(&at) else { continue };
            match task.process(record, &mut self.out) {
                Processed::Live => live += 1,
                Processed::Replayed => replayed += 1,
                Processed::Skipped => {}
                Processed::Panicked(message) => {
                    result = self.on_panic(at, record.offset, message);
                    break;
                }
            }
        }
        if result.is_ok() {
            result = self.read_again(&batch, first_left);
        }
        self.batch = batch;
        self.stats.processed.fetch_add(live, Ordering::Relaxed);
        self.stats.replayed.fetch_add(replayed, Ordering::Relaxed);
        if live == 0 && self.out.is_empty() {
            for task in self.tasks.values_mut() {
                task.commit_replay();
            }
        }
        result?;
        for task in self.tasks.values() {
            if let Some(why) = task.blocked() {
                let partition = task.partition.partition;
                return Err(WorkerError::Blocked { stage: self.factory.name(), partition, why });
            }
        }
        Ok(())
    }

    /// Has what was not processed of a batch, from `first_left` on, delivered again.
    fn read_again(&mut self, batch: &Batch, first_left: usize) -> Result<(), WorkerError> {
        let Some(member) = self.member.as_mut() else { return Ok(()) };
        let mut sought: Vec<TopicPartition> = Vec::new();
        for record in batch.iter().skip(first_left) {
            let at = place(&record);
            if self.tasks.contains_key(&at) && !sought.contains(&at) {
                sought.push(at);
                member
                    .seek(at, record.offset)
                    .map_err(|source| WorkerError::Transport { stage: self.factory.name(), source })?;
            }
        }
        Ok(())
    }

    /// Announces the next records to their tasks, those of a partition together.
    fn warm(&self, batch: &Batch, from: usize) {
        const NONE: RecordRef<'_> =
            RecordRef { topic: 0, partition: 0, offset: 0, timestamp_ms: 0, key: &[], value: &[] };
        let mut next = [NONE; WARM_RECORDS];
        let mut count = 0;
        for (slot, record) in next.iter_mut().zip((from..).map_while(|index| batch.get(index))) {
            *slot = record;
            count += 1;
        }
        for record in &next[..count] {
            // Written long ago, by the caches' reckoning.
            record.value.iter().step_by(CACHE_LINE_BYTES).take(WARM_LINES).for_each(|byte| {
                black_box(*byte);
            });
        }
        for run in next[..count].chunk_by(|one, other| place(one) == place(other)) {
            if let Some(task) = run.first().and_then(|first| self.tasks.get(&place(first))) {
                task.warm(run);
            }
        }
    }

    pub(super) fn on_panic(&mut self, at: TopicPartition, offset: u64, message: String) -> Result<(), WorkerError> {
        let stage = self.factory.name();
        tracing::error!(
            stage,
            partition = at.partition,
            offset,
            message,
            "the operator panicked; the record will be diverted"
        );
        self.stats.diverted.fetch_add(1, Ordering::Relaxed);
        let count = self.tasks.get(&at).map_or(0, Task::poisoned_in_a_row);
        if count > self.config.max_poisoned {
            return Err(WorkerError::PoisonBurst { stage, partition: at.partition, count, offset, message });
        }
        self.undo_epoch()
    }

    pub(super) fn epoch_due(&self, drained: bool) -> bool {
        let Some(started) = self.epoch_started else { return false };
        let undo_bytes: usize = self.tasks.values().map(Task::undo_bytes).sum();
        drained
            || self.out.size_bytes() >= self.config.limits.max_bytes
            || undo_bytes >= self.config.limits.max_bytes
            || self.clock.monotonic().saturating_sub(started) >= Duration::from_millis(self.config.limits.max_ms)
    }

    pub(super) fn clear_epoch(&mut self) {
        self.out.clear();
        self.epoch_started = None;
    }

    pub(super) fn undo_epoch(&mut self) -> Result<(), WorkerError> {
        self.clear_epoch();
        let Some(member) = self.member.as_mut() else { return Ok(()) };
        let mut result = member.abort();
        for task in self.tasks.values_mut() {
            let from = task.undo_epoch();
            if result.is_ok() {
                result = member.seek(task.partition, from);
            }
        }
        self.stats.aborts.fetch_add(1, Ordering::Relaxed);
        result.map_err(|source| self.transport_error(source))
    }

    pub(super) fn end_epoch(&mut self) -> Result<(), WorkerError> {
        let logic_version = self.factory.logic_version();
        let offsets: Vec<OffsetCommit> = self
            .tasks
            .values()
            .filter_map(|task| {
                let offset = task.offset_to_commit()?;
                Some(OffsetCommit { partition: task.partition, offset, metadata: stamp(offset, logic_version) })
            })
            .collect();
        if offsets.is_empty() {
            for task in self.tasks.values_mut() {
                task.commit_replay();
            }
            self.clear_epoch();
            return Ok(());
        }
        let produced = self.out.len() as u64;
        self.note_in_ledger();
        let outcome = self.send_and_commit(&offsets)?;
        match outcome {
            CommitOutcome::Committed => {
                for task in self.tasks.values_mut() {
                    task.commit_epoch();
                }
                self.clear_epoch();
                self.aborts_in_a_row = 0;
                self.stats.produced.fetch_add(produced, Ordering::Relaxed);
                self.stats.commits.fetch_add(1, Ordering::Relaxed);
                let keys: usize = self.tasks.values().map(Task::state_keys).sum();
                self.stats.state_keys.store(keys as u64, Ordering::Relaxed);
                let watermark_ms = self.tasks.values().filter_map(Task::watermark_ms).min();
                self.stats.watermark_ms.store(watermark_ms.unwrap_or(0), Ordering::Relaxed);
                let budget = self.tasks.values().filter_map(Task::budget_percent).max();
                self.stats.budget_percent.store(budget.unwrap_or(0), Ordering::Relaxed);
                Ok(())
            }
            CommitOutcome::Aborted(why) => {
                tracing::warn!(stage = self.factory.name(), %why, "epoch aborted; undone and read again");
                self.aborts_in_a_row += 1;
                if self.aborts_in_a_row > ABORTS_BEFORE_REST {
                    self.rest_until = Some(self.clock.monotonic() + REST);
                }
                self.undo_epoch()
            }
            CommitOutcome::Fenced(why) => {
                tracing::warn!(stage = self.factory.name(), %why, "fenced at commit; rejoining");
                self.abandon();
                self.note_fencing(&why)
            }
            CommitOutcome::Unknown(why) => {
                tracing::warn!(stage = self.factory.name(), %why, "commit outcome unknown; settling");
                self.settle(&offsets)
            }
        }
    }

    pub(super) fn send_and_commit(&mut self, offsets: &[OffsetCommit]) -> Result<CommitOutcome, WorkerError> {
        let Some(member) = self.member.as_mut() else { return Ok(CommitOutcome::Fenced("not a member".to_owned())) };
        match self.out.send(&mut **member) {
            Ok(()) => {}
            Err(TransportError::Fenced(why)) => return Ok(CommitOutcome::Fenced(why)),
            // Sending the same again would end the same way.
            Err(source @ (TransportError::TooLarge { .. } | TransportError::UnknownTopic(_))) => {
                return Err(WorkerError::Transport { stage: self.factory.name(), source });
            }
            Err(error) => return Ok(CommitOutcome::Aborted(error.to_string())),
        }
        Ok(member.commit(offsets))
    }

    /// Finds out what became of a commit whose outcome nobody told us.
    pub(super) fn settle(&mut self, offsets: &[OffsetCommit]) -> Result<(), WorkerError> {
        let Some(member) = self.member.as_mut() else { return Ok(()) };
        let settled = member.settle().and_then(|()| {
            let mut ours = 0;
            let mut start = 0;
            for offset in offsets {
                let began = self.tasks.get(&offset.partition).map_or(0, Task::epoch_start);
                match member.committed(offset.partition)? {
                    Some(now) if is_stamped(&now) => {
                        ours += usize::from(now.offset == offset.offset);
                        start += usize::from(now.offset <= began);
                    }
                    // Somebody else's says nothing of what became of ours; the ledger does, once the task is loaded anew.
                    Some(_) => {}
                    None => start += usize::from(began == 0),
                }
            }
            Ok((ours, start))
        });
        match settled {
            Ok((ours, _)) if ours == offsets.len() => {
                for task in self.tasks.values_mut() {
                    task.commit_epoch();
                }
                self.clear_epoch();
                self.stats.commits.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Ok((_, start)) if start == offsets.len() => self.undo_epoch(),
            Ok(_) | Err(TransportError::Fenced(_) | TransportError::Unavailable(_)) => {
                self.abandon();
                Ok(())
            }
            Err(source) => Err(self.transport_error(source)),
        }
    }
}
