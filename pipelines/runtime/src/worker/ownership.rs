//! Joining, leaving, and what a change of ownership does.

use std::sync::atomic::Ordering;

use millstream_transports::{Change, MemberConfig, TopicPartition, TransportError};

use super::ledger::Standing;
use super::snapshots::{Of, TaskSnapshots};
use super::{Worker, WorkerError};
use crate::snapshot::recovery::{Position, Recovered, RecoveryError, adopt, recover};
use crate::snapshot::{SnapshotSettings, TaskName};
use crate::standby::Kept;
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
        let owned: Vec<TopicPartition> = self.tasks.keys().copied().collect();
        owned.into_iter().for_each(|partition| self.drop_task(partition));
        self.clear_epoch();
        self.member = None;
        self.stats.rejoins.fetch_add(1, Ordering::Relaxed);
        self.stats.watermark_ms.store(0, Ordering::Relaxed);
        self.stats.owned.store(0, Ordering::Release);
    }

    pub(super) fn apply_changes(&mut self) -> Result<(), WorkerError> {
        let changes = std::mem::take(&mut self.changes);
        for change in &changes {
            if let Change::Revoked { partitions, lost } = change {
                tracing::info!(stage = self.factory.name(), count = partitions.len(), lost, "partitions revoked");
                for partition in partitions {
                    self.drop_task(*partition);
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

    /// Makes the task of a partition: the newest snapshot's state, or an empty one, and what follows in the log replayed up to the
    /// committed offset.
    pub(super) fn load(&mut self, partition: TopicPartition) -> Result<(), WorkerError> {
        let Some(standing) = self.committed_by_us(partition)? else { return Ok(()) };
        let committed = standing.offset;
        let Some(member) = self.member.as_mut() else { return Ok(()) };
        let earliest = member.earliest(partition).map_err(|source| self.transport_error(source))?;
        let (mut task, start) = match self.config.snapshots.clone() {
            Some(settings) => self.restore(partition, &settings, standing, earliest)?,
            None => (self.replaying_whole_log(partition, standing, earliest)?, earliest),
        };
        let Some(member) = self.member.as_mut() else { return Ok(()) };
        member.seek(partition, start).map_err(|source| self.transport_error(source))?;
        tracing::info!(
            stage = self.factory.name(),
            partition = partition.partition,
            start,
            committed,
            "task starts; outputs below the committed offset are suppressed"
        );
        task.commit_replay();
        self.tasks.insert(partition, task);
        Ok(())
    }

    fn replaying_whole_log(&self, at: TopicPartition, standing: Standing, earliest: u64) -> Result<Task, WorkerError> {
        let Standing { offset: committed, logic_version } = standing;
        if earliest > 0 && committed > 0 {
            let (stage, partition) = (self.factory.name(), at.partition);
            return Err(WorkerError::Truncated { stage, partition, earliest, committed });
        }
        let ours = self.factory.logic_version();
        if let Some(theirs) = logic_version.filter(|theirs| *theirs != ours && committed > 0) {
            let (stage, partition) = (self.factory.name(), at.partition);
            let source = RecoveryError::LogicChanged { offset: earliest, committed, theirs, ours };
            return Err(WorkerError::Recovery { stage, partition, source });
        }
        Ok(Task::new(at, self.factory.make(at.partition), earliest, committed))
    }

    fn restore(
        &mut self,
        at: TopicPartition,
        settings: &SnapshotSettings,
        standing: Standing,
        earliest: u64,
    ) -> Result<(Task, u64), WorkerError> {
        let Standing { offset: committed, logic_version } = standing;
        let (stage, partition) = (self.factory.name(), at.partition);
        let name = TaskName { group: self.topic(stage), partition };
        let inputs = self.factory.inputs();
        let topic = self.topic(inputs.get(usize::from(at.topic)).map_or("", |topic| &topic.name));
        let topic_id = self.transport.topic_id(&topic).map_err(|source| self.transport_error(source))?;
        let position = Position { topic_id: topic_id.clone(), partition, committed, logic_version, earliest };
        let began = self.clock.monotonic();
        let who = &self.config.instance_id;
        let kept = self.config.standbys.as_ref().and_then(|standbys| standbys.take(at, committed));
        // The log may have lost what a standby that could not keep up has still to read; snapshots are newer then.
        let kept = kept.filter(|kept| kept.next >= earliest.min(committed));
        let recovered = match kept {
            Some(kept) => self.take_warm(kept, settings, &name, &position),
            None => recover(&*settings.store, &name, who, &self.factory, &position),
        };
        let Recovered { mut stage, start, holding, from } = recovered.map_err(|error| match error {
            // As for a log that does not answer: everything is dropped, and tried again after a rest.
            RecoveryError::Store(error) => self.transport_error(TransportError::Unavailable(error.to_string())),
            source => WorkerError::Recovery { stage, partition, source },
        })?;
        if let Some(manifest) = &from {
            let took_ms = self.clock.monotonic().saturating_sub(began).as_millis();
            tracing::info!(
                stage = self.factory.name(),
                partition,
                number = manifest.number,
                offset = manifest.offset,
                bytes = manifest.bytes(),
                took_ms,
                "restored from a snapshot"
            );
            self.stats.restored.fetch_add(1, Ordering::Relaxed);
        }
        let takes_snapshots = stage.snapshots().is_some();
        let mut task = Task::new(at, stage, start, committed);
        if let Some(background) = self.background.as_mut().filter(|_| takes_snapshots) {
            let of = Of { name: name.clone(), generation: holding.generation, topic, topic_id };
            let offset = from.map_or(0, |manifest| manifest.offset);
            task.snapshots = Some(TaskSnapshots::new(of, offset, self.clock.monotonic(), self.clock.now_ms()));
            background.adopt(name, holding);
        }
        Ok((task, start))
    }

    fn take_warm(
        &self,
        kept: Kept,
        settings: &SnapshotSettings,
        name: &TaskName,
        position: &Position,
    ) -> Result<Recovered, RecoveryError> {
        let who = &self.config.instance_id;
        let Some(holding) = adopt(&*settings.store, name, who, &self.factory, position)? else {
            return recover(&*settings.store, name, who, &self.factory, position);
        };
        let stage = self.factory.name();
        tracing::info!(stage, partition = name.partition, offset = kept.next, "taken over from a warm standby");
        self.stats.taken_warm.fetch_add(1, Ordering::Relaxed);
        Ok(Recovered { stage: kept.stage, start: kept.next, holding, from: None })
    }
}
