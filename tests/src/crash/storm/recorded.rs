//! The whole log, as a reader of committed records sees it.

use std::collections::BTreeMap;

use millstream_schemas::frame;
use millstream_schemas::topics::{Partitions, TOPICS};
use millstream_transports::{Transport, Walk};

use crate::topology::Committed;

/// Every committed record of every topic.
#[derive(Debug)]
pub struct Recorded {
    topics: BTreeMap<(&'static str, u32), Vec<Committed>>,
    /// Partitions of topics that have several.
    pub partitions: u32,
}

impl Recorded {
    /// Reads it all.
    pub fn read(transport: &dyn Transport, partitions: u32) -> Self {
        let mut topics = BTreeMap::new();
        for topic in TOPICS {
            let count = if topic.partitions == Partitions::One { 1 } else { partitions };
            for partition in 0..count {
                topics.insert((topic.name, partition), read(transport, topic.name, partition));
            }
        }
        Self { topics, partitions }
    }

    /// The records of one partition.
    pub fn of(&self, topic: &str, partition: u32) -> &[Committed] {
        let found = self.topics.iter().find(|((name, number), _)| *name == topic && *number == partition);
        found.map_or(&[], |(_, records)| records)
    }

    /// All records of a topic, partition after partition.
    pub fn topic<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = (u32, &'a Committed)> {
        let partitions = self.topics.iter().filter(move |((name, _), _)| *name == topic);
        partitions.flat_map(|((_, partition), records)| records.iter().map(move |record| (*partition, record)))
    }

    /// How many records there are.
    pub fn count(&self) -> usize {
        self.topics.values().map(Vec::len).sum()
    }
}

/// All committed records of a partition.
pub fn read(log: &dyn Transport, topic: &str, partition: u32) -> Vec<Committed> {
    let mut all = Vec::new();
    let mut walk = Walk::open(log, topic, partition).unwrap();
    while let Some(record) = walk.peek().unwrap() {
        all.push(Committed {
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            key: record.key.to_vec(),
            value: record.value.to_vec(),
        });
        walk.take();
    }
    all
}

/// The schema id of a record; `None` for a tombstone.
pub fn schema_of(value: &[u8]) -> Option<u32> {
    (!value.is_empty()).then(|| frame::split(value).unwrap().0)
}
