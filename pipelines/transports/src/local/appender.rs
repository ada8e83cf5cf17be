//! Acknowledged appends outside any transaction.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::core::partition_of;
use super::faults::{Fault, Moment};
use super::frame::{CHUNK_BYTES, Chunk, HEADER_BYTES};
use super::log::Log;
use super::partition::Topic;
use super::store::Store;
use super::writer::{Part, Unit, Waiter};
use crate::{Acknowledge, Append, Appender, Result, TransportError};

pub(crate) struct LocalAppender<S: Store> {
    log: Log<S>,
    topics: Vec<Arc<Topic>>,
}

impl<S: Store> LocalAppender<S> {
    pub(crate) fn new(log: Log<S>, topics: &[String]) -> Result<Self> {
        log.check_alive()?;
        let topics = log.topics_named(topics)?;
        Ok(Self { log, topics })
    }

    /// One chunk, or more where it gets long, for each partition, in the order of the records.
    fn gather(&self, records: &[Append<'_>]) -> Result<Vec<Part>> {
        // Bytes still to come and the newest part, by partition: so that each chunk is as large as it must be from the start.
        let mut partitions: BTreeMap<(u16, u32), (usize, Option<usize>)> = BTreeMap::new();
        for record in records {
            let size = record.key.len() + record.value.len();
            check_size(size, self.log.options.max_record_bytes)?;
            partitions.entry((record.topic, record.partition)).or_default().0 += HEADER_BYTES + size;
        }
        let mut parts: Vec<Part> = Vec::new();
        for record in records {
            let (left, newest) = partitions.entry((record.topic, record.partition)).or_default();
            let room = *left;
            *left -= HEADER_BYTES + record.key.len() + record.value.len();
            let open = newest.and_then(|index| parts.get_mut(index));
            if let Some(part) = open
                && part.chunk.bytes.len() < CHUNK_BYTES
            {
                part.chunk.push(record.timestamp_ms, record.key, record.value);
                continue;
            }
            let topic = topic_of(&self.topics, record.topic)?;
            let partition = Arc::clone(partition_of(topic, record.partition)?);
            let mut chunk = if room > CHUNK_BYTES { Chunk::for_whole() } else { Chunk::with_room(room) };
            chunk.push(record.timestamp_ms, record.key, record.value);
            *newest = Some(parts.len());
            parts.push(Part { partition, chunk, gap: 0 });
        }
        Ok(parts)
    }
}

pub(crate) fn topic_of(topics: &[Arc<Topic>], index: u16) -> Result<&Arc<Topic>> {
    topics.get(usize::from(index)).ok_or_else(|| {
        TransportError::Other(format!("topic index {index} is out of range; {} topics were opened", topics.len()))
    })
}

/// Refuses a record whose key and value are too large.
pub(crate) fn check_size(size_bytes: usize, limit_bytes: usize) -> Result<()> {
    if size_bytes > limit_bytes { Err(TransportError::TooLarge { size_bytes, limit_bytes }) } else { Ok(()) }
}

impl<S: Store> Appender for LocalAppender<S> {
    fn append(&self, records: &[Append<'_>], done: Acknowledge) -> Result<()> {
        let parts = self.gather(records)?;
        let done = match self.log.faults.draw(Moment::Append) {
            Some(Fault::AppendFailed) => {
                done(Err(TransportError::Unavailable("the append failed (injected)".into())));
                return Ok(());
            }
            Some(_) => Box::new(move |outcome: Result<()>| {
                let failed = || TransportError::Unavailable("the acknowledgement was lost (injected)".into());
                done(outcome.and_then(|()| Err(failed())));
            }),
            None => done,
        };
        let queued_bytes = parts.iter().map(|part| part.chunk.bytes.len()).sum();
        let waiter = Waiter::Callback(done);
        self.log.submit(Unit { parts, offsets: Vec::new(), transaction: None, waiter, queued_bytes })
    }

    fn queued_bytes(&self) -> usize {
        self.log.queue.queued_bytes()
    }
}
