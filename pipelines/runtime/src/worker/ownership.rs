//! Joining, leaving, and what a change of ownership does.

use std::sync::atomic::Ordering;

use millstream_transports::{Change, MemberConfig, TopicPartition};

use super::{Worker, WorkerError};
use crate::task::Task;

impl Worker {
    pub(super) fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.config.namespace)
    }

    pub(super) fn join(&mut self) -> Result<(), WorkerError> {
        let mut topics = self.factory.inputs();
        topics.extend(self.factory.outputs());
        for topic in &mut topics {
            topic.name = self.topic(&topic.name);
        }
        // A stage's input can be among its outputs; a broker refuses to create a topic twice in one request.
        topics.sort_by(|one, other| one.name.cmp(&other.name));
        topics.dedup_by(|one, other| one.name == other.name);
        let member = self.transport.ensure_topics(&topics).and_then(|()| {
            self.transport.member(MemberConfig {
                group: self.topic(self.factory.name()),
                instance_id: self.config.instance_id.clone(),
                inputs: self.factory.inputs().iter().map(|topic| self.topic(&topic.name)).collect(),
                outputs: self.factory.outputs().iter().map(|topic| self.topic(&topic.name)).collect(),
            })
        });
        self.member = Some(member.map_err(|source| self.transport_error(source))?);
        Ok(())
    }

    /// Drops member, state and the open epoch; the next step joins anew and replays.
    pub(super) fn abandon(&mut self) {
        self.tasks.clear();
        self.clear_epoch();
        self.member = None;
        self.stats.owned.store(0, Ordering::Release);
    }

    pub(super) fn apply_changes(&mut self) -> Result<(), WorkerError> {
        let changes = std::mem::take(&mut self.changes);
        for change in &changes {
            if let Change::Revoked { partitions, lost } = change {
                tracing::info!(stage = self.factory.name(), count = partitions.len(), lost, "partitions revoked");
                for partition in partitions {
                    self.tasks.remove(partition);
                }
            }
        }
        // Ownership moved, so the transport has aborted the open transaction: nothing of this epoch will be visible. What we
        // keep goes back to its last commit.
        self.undo_epoch()?;
        for change in changes {
            if let Change::Assigned(partitions) = change {
                for partition in partitions {
                    self.load(partition)?;
                }
            }
        }
        self.stats.owned.store(self.tasks.len() as u64, Ordering::Release);
        Ok(())
    }

    /// Makes the task of a partition: empty state, the whole retained log replayed up to the committed offset.
    pub(super) fn load(&mut self, partition: TopicPartition) -> Result<(), WorkerError> {
        let Some(committed) = self.committed_by_us(partition)? else { return Ok(()) };
        let Some(member) = self.member.as_mut() else { return Ok(()) };
        let start = member.earliest(partition).and_then(|start| member.seek(partition, start).map(|()| start));
        let start = start.map_err(|source| self.transport_error(source))?;
        if start > 0 && committed > 0 {
            let (stage, partition) = (self.factory.name(), partition.partition);
            return Err(WorkerError::Truncated { stage, partition, earliest: start, committed });
        }
        tracing::info!(
            stage = self.factory.name(),
            partition = partition.partition,
            start,
            committed,
            "task starts; outputs below the committed offset are suppressed"
        );
        self.tasks.insert(partition, Task::new(partition, self.factory.make(partition.partition), start, committed));
        Ok(())
    }
}
