//! When there is nothing to read: notes it, and lets time pass where nobody else does.

use std::sync::atomic::Ordering;
use std::time::Duration;

use millstream_transports::{Append, CommitOutcome, TopicPartition, TransportError};

use super::{Worker, WorkerError};

impl Worker {
    /// Everything owned is read and committed: note it, and let time pass where nobody else does.
    pub(super) fn when_idle(&mut self) -> Result<(), WorkerError> {
        let now = self.clock.monotonic();
        let since = *self.idle_since.get_or_insert(now);
        let Some(member) = self.member.as_mut() else { return Ok(()) };
        let mut ended = Vec::with_capacity(self.tasks.len());
        for task in self.tasks.values() {
            let at_end = member.at_end(task.partition);
            match at_end {
                Ok(true) if !task.is_replaying() => ended.push(task.partition),
                Ok(_) => {}
                Err(TransportError::Unavailable(_)) => return Ok(()),
                Err(source) => return Err(self.transport_error(source)),
            }
        }
        if ended.len() == self.tasks.len() && !self.tasks.is_empty() {
            self.stats.caught_up_checks.fetch_add(1, Ordering::Release);
        }
        let Some(tick_after_ms) = self.config.tick_after_ms else { return Ok(()) };
        if now.saturating_sub(since) < Duration::from_millis(tick_after_ms) || ended.is_empty() {
            return Ok(());
        }
        self.idle_since = Some(now);
        self.append_ticks(&ended)
    }

    pub(super) fn append_ticks(&mut self, partitions: &[TopicPartition]) -> Result<(), WorkerError> {
        let now_ms = self.clock.now_ms();
        let Some((topic, value)) = self.factory.tick(now_ms) else { return Ok(()) };
        let Some(member) = self.member.as_mut() else { return Ok(()) };
        for partition in partitions {
            let tick = Append { topic, partition: partition.partition, timestamp_ms: now_ms, key: &[], value: &value };
            if let Err(error) = member.send(tick) {
                tracing::warn!(stage = self.factory.name(), %error, "tick not appended");
                return self.undo_epoch();
            }
        }
        // A lost or doubled tick does no harm: it carries a time, not a count.
        match member.commit(&[]) {
            CommitOutcome::Committed => Ok(()),
            CommitOutcome::Aborted(_) => self.undo_epoch(),
            CommitOutcome::Unknown(_) => self.settle(&[]),
            CommitOutcome::Fenced(_) => {
                self.abandon();
                Ok(())
            }
        }
    }
}
