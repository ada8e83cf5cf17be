//! The handle on a local log, and what of [`Transport`] it answers itself.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;

use super::appender::LocalAppender;
use super::coordinator::Coordinator;
use super::core::Core;
use super::faults::Faults;
use super::member::LocalMember;
use super::options::LocalOptions;
use super::partition::{Partition, Topic};
use super::producer::LocalTransactions;
use super::reader::LocalReader;
use super::store::{Image, Store, StoredTopic};
use super::writer::WriteMode;
use crate::{
    Appender, Committed, Member, MemberConfig, Reader, Result, Retention, TopicSpec, Transactions, Transport,
    TransportError,
};

/// A log in this process. Handles are cheap to clone; the log ends with the last of them and of its members, appenders and
/// readers.
pub struct LocalLog<S: Store> {
    pub(crate) handle: Log<S>,
}

impl<S: Store> Clone for LocalLog<S> {
    fn clone(&self) -> Self {
        Self { handle: Arc::clone(&self.handle) }
    }
}

impl<S: Store> std::fmt::Debug for LocalLog<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalLog").field("topics", &self.handle.topics.read().len()).finish_non_exhaustive()
    }
}

/// What the log's parts hold: the log lives as long as one of them.
pub(crate) type Log<S> = Arc<Handle<S>>;

pub(crate) struct Handle<S: Store> {
    core: Arc<Core<S>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl<S: Store> Deref for Handle<S> {
    type Target = Core<S>;
    fn deref(&self) -> &Core<S> {
        &self.core
    }
}

impl<S: Store> Drop for Handle<S> {
    fn drop(&mut self) {
        self.core.queue.stop();
        // A callback can hold the last handle, and then this is the writing thread itself, which ends by itself.
        if let Some(writer) = self.writer.lock().take()
            && writer.thread().id() != std::thread::current().id()
            && writer.join().is_err()
        {
            tracing::error!("the log's writing thread panicked");
        }
    }
}

impl<S: Store> LocalLog<S> {
    /// A log that starts no thread, so that nothing can fail.
    pub(crate) fn open_inline(store: S, image: Image, options: LocalOptions, mode: WriteMode) -> Self {
        let (topics, retention, coordinator) = restore::<S>(image);
        let core = Core::new(store, topics, retention, coordinator, options, mode, Arc::default());
        Self { handle: Arc::new(Handle { core: Arc::new(core), writer: Mutex::new(None) }) }
    }

    /// A log with a thread that gathers what waits into one write.
    pub(crate) fn open_threaded(store: S, image: Image, options: LocalOptions) -> Result<Self> {
        let (topics, retention, coordinator) = restore::<S>(image);
        let core = Core::new(store, topics, retention, coordinator, options, WriteMode::Thread, Arc::default());
        let core = Arc::new(core);
        let writing = Arc::clone(&core);
        let spawned =
            std::thread::Builder::new().name("log-writer".into()).spawn(move || writing.write_until_stopped());
        let writer =
            spawned.map_err(|e| TransportError::Other(format!("the log's writing thread cannot start: {e}")))?;
        Ok(Self { handle: Arc::new(Handle { core, writer: Mutex::new(Some(writer)) }) })
    }

    /// Ends this log as a killed process would, and opens another on what was durable. For logs without a writing thread.
    pub(crate) fn crash_inline(&self, store: S) -> Self {
        let (topics, coordinator) = self.handle.queue.without_writer(|| {
            self.handle.end("this process has crashed");
            let mut coordinator = Coordinator::default();
            for (name, group) in &self.handle.coordinator.lock().groups {
                coordinator.group(name).offsets.clone_from(&group.offsets);
            }
            let durable = |topic: &Arc<Topic>| {
                let partitions = topic.partitions.iter().map(|partition| Arc::new(partition.durable_copy())).collect();
                Arc::new(Topic { id: topic.id, name: topic.name.clone(), partitions })
            };
            let topics = self.handle.topics.read().iter().map(|(name, topic)| (name.clone(), durable(topic))).collect();
            (topics, coordinator)
        });
        let retention = self.handle.retention.read().clone();
        let (options, faults) = (self.handle.options.clone(), Arc::clone(&self.handle.faults));
        let core = Core::new(store, topics, retention, coordinator, options, self.handle.queue.mode, faults);
        Self { handle: Arc::new(Handle { core: Arc::new(core), writer: Mutex::new(None) }) }
    }

    /// Drops records beyond their topic's retention, whole chunks from the start of each partition on. `now_ms` is compared with
    /// the records' own timestamps. Returns how many partitions now start later. [`Retention::Compact`] is kept as
    /// [`Retention::Forever`].
    pub fn trim(&self, now_ms: i64) -> Result<usize> {
        self.handle.check_alive()?;
        let mut moved = 0;
        let topics: Vec<Arc<Topic>> = self.handle.topics.read().values().cloned().collect();
        for topic in topics {
            let Some(Retention::TimeMs(kept_ms)) = self.handle.retention.read().get(&topic.name).copied() else {
                continue;
            };
            let before_ms = now_ms.saturating_sub(kept_ms);
            for partition in &topic.partitions {
                let earliest = partition.earliest();
                let stable_end = partition.stable_end();
                let trimmed = self.handle.store.trim(partition.reference(), earliest, before_ms, stable_end)?;
                let trimmed = trimmed.unwrap_or_else(|| partition.old_prefix_end(before_ms));
                if trimmed > earliest {
                    partition.forget_below(trimmed);
                    moved += 1;
                }
            }
        }
        Ok(moved)
    }

    /// Deletes a topic and makes it anew under the same name, empty, as an operator's tool can on a real broker. Its committed offsets
    /// go with it; members that read the former one must join anew.
    pub fn remake_topic(&self, topic: &str) -> Result<()> {
        self.handle.check_alive()?;
        let mut known = self.handle.topics.write();
        let former = known.get(topic).ok_or_else(|| TransportError::UnknownTopic(topic.to_owned()))?;
        let retention = self.handle.retention.read().get(topic).copied().unwrap_or(Retention::Forever);
        let partitions = u32::try_from(former.partitions.len()).unwrap_or(u32::MAX);
        let spec = TopicSpec { name: topic.to_owned(), partitions, retention };
        let id = known.values().map(|topic| topic.id + 1).max().unwrap_or(1);
        self.handle.store.put_topic(id, &spec)?;
        let partitions = vec![Default::default(); partitions as usize];
        known.insert(topic.to_owned(), Arc::new(topic_from::<S>(&StoredTopic { id, spec, partitions })));
        Ok(())
    }

    /// The faults of this log, for tests and simulations.
    pub fn faults(&self) -> &Arc<Faults> {
        &self.handle.faults
    }

    /// Sets a group's offset from outside, as an operator's tool can on a real broker, without any check of ownership.
    pub fn commit_foreign(&self, group: &str, topic: &str, partition: u32, committed: Committed) -> Result<()> {
        let place = self.handle.partition(topic, partition)?;
        self.handle.commit_foreign(group, &place, committed)
    }

    /// The offset after the last one that is durable or lost in this partition (Kafka's high watermark).
    pub fn end_offset(&self, topic: &str, partition: u32) -> Result<u64> {
        Ok(self.handle.partition(topic, partition)?.end())
    }

    fn check_new(spec: &TopicSpec) -> Result<()> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if spec.name.is_empty() || spec.name.len() > 249 || !spec.name.chars().all(plain) {
            let name = spec.name.escape_debug();
            return Err(TransportError::Other(format!(
                "\"{name}\" is no topic name: use 1 to 249 letters, digits, '.', '_' and '-'"
            )));
        }
        if spec.partitions == 0 {
            return Err(TransportError::Other(format!("topic {} needs at least one partition", spec.name)));
        }
        Ok(())
    }
}

type Restored = (BTreeMap<String, Arc<Topic>>, BTreeMap<String, Retention>, Coordinator);

fn restore<S: Store>(image: Image) -> Restored {
    let topics = image.topics.iter().map(|stored| Arc::new(topic_from::<S>(stored)));
    let topics = topics.map(|topic| (topic.name.clone(), topic)).collect();
    let retention = image.topics.into_iter().map(|topic| (topic.spec.name, topic.spec.retention)).collect();
    let mut coordinator = Coordinator::default();
    for offset in image.offsets {
        coordinator.group(&offset.group).offsets.insert((offset.topic_id, offset.partition), offset.committed);
    }
    (topics, retention, coordinator)
}

fn topic_from<S: Store>(stored: &StoredTopic) -> Topic {
    let name = &stored.spec.name;
    let partition = |(index, image)| Arc::new(Partition::new(stored.id, name, index, S::CACHE_BYTES, image));
    Topic { id: stored.id, name: name.clone(), partitions: (0..).zip(&stored.partitions).map(partition).collect() }
}

impl<S: Store> Transport for LocalLog<S> {
    fn ensure_topics(&self, topics: &[TopicSpec]) -> Result<()> {
        self.handle.check_alive()?;
        let mut known = self.handle.topics.write();
        for spec in topics {
            Self::check_new(spec)?;
            if let Some(topic) = known.get(&spec.name)
                && topic.partitions.len() != spec.partitions as usize
            {
                let found = u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX);
                return Err(TransportError::PartitionCount {
                    topic: spec.name.clone(),
                    found,
                    wanted: spec.partitions,
                });
            }
        }
        let mut retention = self.handle.retention.write();
        for spec in topics {
            if let Some(topic) = known.get(&spec.name) {
                if retention.get(&spec.name) != Some(&spec.retention) {
                    self.handle.store.put_topic(topic.id, spec)?;
                    retention.insert(spec.name.clone(), spec.retention);
                }
                continue;
            }
            let id = known.values().map(|topic| topic.id + 1).max().unwrap_or(1);
            self.handle.store.put_topic(id, spec)?;
            let partitions = vec![Default::default(); spec.partitions as usize];
            let stored = StoredTopic { id, spec: spec.clone(), partitions };
            known.insert(spec.name.clone(), Arc::new(topic_from::<S>(&stored)));
            retention.insert(spec.name.clone(), spec.retention);
        }
        Ok(())
    }

    fn partition_count(&self, topic: &str) -> Result<u32> {
        Ok(u32::try_from(self.handle.topic(topic)?.partitions.len()).unwrap_or(u32::MAX))
    }

    fn topic_id(&self, topic: &str) -> Result<String> {
        let id = self.handle.topic(topic)?.id;
        let log = self.handle.store.log_id();
        Ok(if log.is_empty() { format!("{topic}#{id}") } else { format!("{log}#{id}") })
    }

    fn member(&self, config: MemberConfig) -> Result<Box<dyn Member>> {
        Ok(Box::new(LocalMember::join(Arc::clone(&self.handle), config)?))
    }

    fn appender(&self, topics: Vec<String>) -> Result<Box<dyn Appender>> {
        Ok(Box::new(LocalAppender::new(Arc::clone(&self.handle), &topics)?))
    }

    fn transactions(&self, transactional_id: &str, topics: Vec<String>) -> Result<Box<dyn Transactions>> {
        Ok(Box::new(LocalTransactions::new(Arc::clone(&self.handle), transactional_id, &topics)?))
    }

    fn reader(&self, topic: &str, partition: u32, offset: u64) -> Result<Box<dyn Reader>> {
        Ok(Box::new(LocalReader::new(Arc::clone(&self.handle), topic, partition, offset)?))
    }

    fn committed(&self, group: &str, topic: &str, partition: u32) -> Result<Option<Committed>> {
        self.handle.check_alive()?;
        let place = self.handle.partition(topic, partition)?;
        self.handle.committed_in(group, &place)
    }

    fn ended(&self) -> Option<String> {
        self.handle.over.read().clone()
    }

    fn apply_retention(&self, now_ms: i64) -> Result<()> {
        self.trim(now_ms).map(drop)
    }
}
