//! A log of which records are gone, doubled or changed when they are read.

use std::time::Duration;

use millstream_transports::{
    Appender, Batch, Committed, Member, MemberConfig, Reader, RecordRef, Result, TopicSpec, Transactions, Transport,
    TransportError,
};

/// What happens to the records of one partition.
#[derive(Clone, Copy)]
pub enum Meddling {
    /// The record at this offset is not there.
    Without(u64),
    /// The record at this offset comes twice.
    Twice(u64),
    /// The last byte of this record's value is another.
    Changed(u64),
    /// Retention has removed what was before.
    CutBefore(u64),
}

pub struct Tampered<'a> {
    pub log: &'a dyn Transport,
    pub topic: &'a str,
    pub partition: u32,
    pub meddling: Meddling,
}

struct TamperedReader {
    reader: Box<dyn Reader>,
    meddling: Meddling,
    room: Batch,
}

impl Reader for TamperedReader {
    fn poll(&mut self, max_wait: Duration, batch: &mut Batch) -> Result<()> {
        batch.clear();
        while batch.is_empty() {
            self.reader.poll(max_wait, &mut self.room)?;
            if self.room.is_empty() {
                return Ok(());
            }
            for record in self.room.iter() {
                match self.meddling {
                    Meddling::Without(offset) if record.offset == offset => {}
                    Meddling::CutBefore(offset) if record.offset < offset => {}
                    Meddling::Changed(offset) if record.offset == offset => {
                        let mut value = record.value.to_vec();
                        *value.last_mut().unwrap() ^= 1;
                        batch.push(RecordRef { value: &value, ..record });
                    }
                    Meddling::Twice(offset) if record.offset == offset => {
                        batch.push(record);
                        batch.push(record);
                    }
                    _ => batch.push(record),
                }
            }
        }
        Ok(())
    }

    fn at_end(&mut self) -> Result<bool> {
        self.reader.at_end()
    }
}

impl Transport for Tampered<'_> {
    fn ensure_topics(&self, topics: &[TopicSpec]) -> Result<()> {
        self.log.ensure_topics(topics)
    }

    fn partition_count(&self, topic: &str) -> Result<u32> {
        self.log.partition_count(topic)
    }

    fn member(&self, config: MemberConfig) -> Result<Box<dyn Member>> {
        self.log.member(config)
    }

    fn appender(&self, topics: Vec<String>) -> Result<Box<dyn Appender>> {
        self.log.appender(topics)
    }

    fn transactions(&self, id: &str, topics: Vec<String>) -> Result<Box<dyn Transactions>> {
        self.log.transactions(id, topics)
    }

    fn reader(&self, topic: &str, partition: u32, offset: u64) -> Result<Box<dyn Reader>> {
        let reader = self.log.reader(topic, partition, offset)?;
        if (topic, partition) != (self.topic, self.partition) {
            return Ok(reader);
        }
        if let Meddling::CutBefore(earliest) = self.meddling
            && (1..earliest).contains(&offset)
        {
            return Err(TransportError::OffsetOutOfRange { topic: topic.to_owned(), partition, offset, earliest });
        }
        Ok(Box::new(TamperedReader { reader, meddling: self.meddling, room: Batch::new() }))
    }

    fn committed(&self, group: &str, topic: &str, partition: u32) -> Result<Option<Committed>> {
        self.log.committed(group, topic, partition)
    }
}
