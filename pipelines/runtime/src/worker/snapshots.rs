//! Taking snapshots between epochs, one task at a time, a slice of a millisecond each.

use std::sync::atomic::Ordering;
use std::time::Duration;

use millstream_transports::TopicPartition;

use super::Worker;
use crate::snapshot::Entries;
use crate::snapshot::background::{Background, Ended};
use crate::snapshot::manifest::{FORMAT, Manifest};
use crate::snapshot::names::TaskName;
use crate::snapshot::publisher::PublishError;
use crate::task::Task;

/// How long a worker that is closed waits for its last snapshots.
const CLOSE_WAIT: Duration = Duration::from_secs(60);
/// Between two looks at the background while closing.
const CLOSE_LOOK: Duration = Duration::from_millis(5);

/// Where a task's snapshots stand.
#[derive(Debug)]
enum Phase {
    /// None is being taken.
    Resting,
    /// Entries are being written.
    Writing { entries: Entries, manifest: Box<Manifest> },
    /// The store has it all and has not answered yet.
    Publishing,
    /// Another owner has taken over; no more are taken.
    Fenced,
}

/// The snapshots of one task.
#[derive(Debug)]
pub(crate) struct TaskSnapshots {
    name: TaskName,
    generation: u64,
    topic: String,
    topic_id: String,
    phase: Phase,
    /// Offset of the newest one.
    offset: u64,
    /// When the last one was begun, of the monotonic clock.
    begun: Duration,
    /// When the newest one was finished, milliseconds since the epoch; at first when the task was loaded.
    finished_at_ms: i64,
}

/// Which task's snapshots are meant.
#[derive(Debug, Clone)]
pub(crate) struct Of {
    pub name: TaskName,
    pub generation: u64,
    pub topic: String,
    pub topic_id: String,
}

impl TaskSnapshots {
    /// The newest one is of `offset`; the next is due an interval after `now`.
    pub fn new(of: Of, offset: u64, now: Duration, now_ms: i64) -> Self {
        let Of { name, generation, topic, topic_id } = of;
        Self { name, generation, topic, topic_id, phase: Phase::Resting, offset, begun: now, finished_at_ms: now_ms }
    }
}

impl Task {
    fn is_due(&self, now: Duration, interval: Duration) -> bool {
        self.snapshots.as_ref().is_some_and(|snapshots| {
            matches!(snapshots.phase, Phase::Resting)
                && !self.is_replaying()
                && self.next() > snapshots.offset
                && now.saturating_sub(snapshots.begun) >= interval
        })
    }

    fn is_writing(&self) -> bool {
        self.snapshots.as_ref().is_some_and(|snapshots| matches!(snapshots.phase, Phase::Writing { .. }))
    }

    fn is_publishing(&self) -> bool {
        self.snapshots.as_ref().is_some_and(|snapshots| matches!(snapshots.phase, Phase::Publishing))
    }

    fn begin_snapshot(&mut self, stage: &'static str, logic_version: u32, now: Duration, now_ms: i64) {
        let (offset, partition) = (self.next(), self.partition.partition);
        let Some(state) = self.stage.snapshots() else { return };
        state.begin();
        let about = state.about();
        let Some(snapshots) = &mut self.snapshots else { return };
        snapshots.begun = now;
        let manifest = Box::new(Manifest {
            format: FORMAT,
            stage: stage.to_owned(),
            logic_version,
            topic: snapshots.topic.clone(),
            topic_id: snapshots.topic_id.clone(),
            partition,
            offset,
            generation: snapshots.generation,
            number: 0,
            written_at_ms: now_ms,
            about,
            small: None,
            runs: Vec::new(),
            floors: Vec::new(),
        });
        snapshots.phase = Phase::Writing { entries: Entries::new(), manifest };
    }

    /// Writes one slice. True when the snapshot is written.
    fn write_slice(&mut self, background: &mut Background) -> bool {
        let Some(snapshots) = &mut self.snapshots else { return true };
        let Phase::Writing { entries, manifest } = &mut snapshots.phase else { return true };
        let Some(state) = self.stage.snapshots() else { return true };
        entries.next_slice();
        let is_written = state.write(entries);
        // As it is: growing a larger piece here would take longer than writing it.
        background.write(snapshots.name.clone(), std::mem::take(entries));
        if is_written {
            background.finish(snapshots.name.clone(), snapshots.generation, (**manifest).clone());
            snapshots.phase = Phase::Publishing;
        }
        is_written
    }

    fn end_snapshot(&mut self, kept_offset: Option<u64>, is_fenced: bool, now_ms: i64) {
        let Some(snapshots) = &mut self.snapshots else { return };
        snapshots.phase = if is_fenced { Phase::Fenced } else { Phase::Resting };
        if let Some(offset) = kept_offset {
            snapshots.offset = offset;
            snapshots.finished_at_ms = now_ms;
        }
        if let Some(state) = self.stage.snapshots() {
            state.end(kept_offset.is_some());
        }
    }
}

impl Worker {
    /// Takes the next slice of a snapshot, where one is due. True where there is more to write at once.
    pub(super) fn take_snapshots(&mut self) -> bool {
        if self.background.is_none() || self.epoch_started.is_some() || !self.out.is_empty() {
            return false;
        }
        self.end_snapshots();
        let (Some(background), Some(settings)) = (&mut self.background, &self.config.snapshots) else { return false };
        if background.is_full() {
            return false;
        }
        let now = self.clock.monotonic();
        if !self.tasks.values().any(Task::is_writing) {
            let interval = Duration::from_millis(settings.interval_ms);
            let due = self.tasks.values_mut().filter(|task| task.is_due(now, interval));
            let Some(task) = due.min_by_key(|task| task.snapshots.as_ref().map(|snapshots| snapshots.begun)) else {
                return false;
            };
            task.begin_snapshot(self.factory.name(), self.factory.logic_version(), now, self.clock.now_ms());
        }
        let Some(task) = self.tasks.values_mut().find(|task| task.is_writing()) else { return false };
        let is_written = task.write_slice(background);
        let slice_us = self.clock.monotonic().saturating_sub(now).as_micros();
        self.stats.snapshot_pauses.note(u64::try_from(slice_us).unwrap_or(u64::MAX));
        !is_written
    }

    /// Notes what has become of snapshots that were given to the background.
    fn end_snapshots(&mut self) {
        let now_ms = self.clock.now_ms();
        while let Some(Ended { task: name, generation, result }) = self.background.as_mut().and_then(Background::ended)
        {
            let stage = self.factory.name();
            let task = self.tasks.values_mut().find(|task| {
                let snapshots = task.snapshots.as_ref();
                snapshots.is_some_and(|snapshots| snapshots.name == name && snapshots.generation == generation)
            });
            let Some(task) = task else { continue };
            let partition = task.partition.partition;
            match result {
                Ok(published) => {
                    tracing::debug!(stage, partition, ?published, "snapshot written");
                    task.end_snapshot(Some(published.offset), false, now_ms);
                    self.stats.snapshots.fetch_add(1, Ordering::Relaxed);
                    self.stats.snapshot_bytes.fetch_add(published.new_bytes, Ordering::Relaxed);
                }
                Err(error @ PublishError::Fenced { .. }) => {
                    tracing::warn!(stage, partition, %error, "no more snapshots of this task are taken here");
                    task.end_snapshot(None, true, now_ms);
                }
                Err(error) => {
                    tracing::warn!(stage, partition, %error, "snapshot not written; the next one holds its changes too");
                    task.end_snapshot(None, false, now_ms);
                    self.stats.snapshots_failed.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        let oldest_ms = self.tasks.values().filter_map(|task| Some(task.snapshots.as_ref()?.finished_at_ms)).min();
        self.stats.snapshot_oldest_at_ms.store(oldest_ms.unwrap_or(0), Ordering::Relaxed);
    }

    /// Forgets a task: its partition is no longer ours.
    pub(super) fn drop_task(&mut self, at: TopicPartition) {
        let snapshots = self.tasks.remove(&at).and_then(|task| task.snapshots);
        if let Some(standbys) = &self.config.standbys {
            standbys.release(at);
        }
        if let (Some(snapshots), Some(background)) = (snapshots, &mut self.background) {
            background.release(snapshots.name, snapshots.generation);
        }
    }

    /// Takes a last snapshot of every task, so that the next start has nothing to replay.
    pub(super) fn close_snapshots(&mut self) {
        if !self.config.snapshots.as_ref().is_some_and(|settings| settings.at_close) {
            return;
        }
        let deadline = self.clock.monotonic() + CLOSE_WAIT;
        while self.clock.monotonic() < deadline {
            self.end_snapshots();
            let Some(background) = &mut self.background else { return };
            let now = self.clock.monotonic();
            let mut is_working = false;
            for task in self.tasks.values_mut() {
                if task.is_due(now, Duration::ZERO) {
                    task.begin_snapshot(self.factory.name(), self.factory.logic_version(), now, self.clock.now_ms());
                }
                if task.is_writing() && !background.is_full() {
                    task.write_slice(background);
                }
                is_working |= task.is_writing() || task.is_publishing();
            }
            if !is_working {
                return;
            }
            if !self.tasks.values().any(Task::is_writing) || background.is_full() {
                std::thread::sleep(CLOSE_LOOK);
            }
        }
        tracing::warn!(
            stage = self.factory.name(),
            "the last snapshots were not written in time; the next start replays more"
        );
    }
}
