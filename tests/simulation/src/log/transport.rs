//! The way from one worker to the log.

use std::sync::Arc;
use std::time::Duration;

use millstream_transports::{
    Appender, Batch, Committed, Member, MemberConfig, Reader, Result, TopicSpec, Transactions, Transport,
};

use super::member::LineMember;
use crate::world::World;

/// One worker's line to the log.
pub struct Line {
    /// The world.
    pub world: Arc<World>,
    /// The worker's slot.
    pub slot: usize,
}

/// A reader at the end of a line.
struct LineReader {
    world: Arc<World>,
    inner: Box<dyn Reader>,
}

impl Reader for LineReader {
    fn poll(&mut self, _max_wait: Duration, batch: &mut Batch) -> Result<()> {
        self.world.reach()?;
        // Nobody waits here: time passes when the scheduler says so.
        self.inner.poll(Duration::ZERO, batch)
    }

    fn at_end(&mut self) -> Result<bool> {
        self.world.reach()?;
        self.inner.at_end()
    }
}

impl Transport for Line {
    fn ensure_topics(&self, topics: &[TopicSpec]) -> Result<()> {
        self.world.reach()?.log.ensure_topics(topics)
    }

    fn partition_count(&self, topic: &str) -> Result<u32> {
        self.world.reach()?.log.partition_count(topic)
    }

    fn topic_id(&self, topic: &str) -> Result<String> {
        self.world.reach()?.log.topic_id(topic)
    }

    fn member(&self, config: MemberConfig) -> Result<Box<dyn Member>> {
        self.world.point(self.slot);
        let life = self.world.reach()?;
        let inner = life.log.member(config.clone())?;
        Ok(Box::new(LineMember::new(Arc::clone(&self.world), self.slot, life, inner, config)))
    }

    fn appender(&self, topics: Vec<String>) -> Result<Box<dyn Appender>> {
        self.world.reach()?.log.appender(topics)
    }

    fn transactions(&self, transactional_id: &str, topics: Vec<String>) -> Result<Box<dyn Transactions>> {
        self.world.reach()?.log.transactions(transactional_id, topics)
    }

    fn reader(&self, topic: &str, partition: u32, offset: u64) -> Result<Box<dyn Reader>> {
        let inner = self.world.reach()?.log.reader(topic, partition, offset)?;
        Ok(Box::new(LineReader { world: Arc::clone(&self.world), inner }))
    }

    fn earliest(&self, topic: &str, partition: u32) -> Result<u64> {
        self.world.reach()?.log.earliest(topic, partition)
    }

    fn committed(&self, group: &str, topic: &str, partition: u32) -> Result<Option<Committed>> {
        self.world.reach()?.log.committed(group, topic, partition)
    }
}
