//! What a log has committed, read the plain way.

use std::time::Duration;

use millstream_transports::memory::MemoryLog;
use millstream_transports::{Batch, RecordRef, Result, Transport};

/// One committed record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Committed {
    /// Offset.
    pub offset: u64,
    /// Append or create time.
    pub timestamp_ms: i64,
    /// Key.
    pub key: Vec<u8>,
    /// Value.
    pub value: Vec<u8>,
}

impl Committed {
    /// As a stage is given it.
    pub fn as_record(&self, partition: u32) -> RecordRef<'_> {
        let Self { offset, timestamp_ms, key, value } = self;
        RecordRef { topic: 0, partition, offset: *offset, timestamp_ms: *timestamp_ms, key, value }
    }
}

/// All committed records of a partition from `offset` on.
///
/// # Errors
/// Where the log does not answer, or begins later.
pub fn read_from(log: &MemoryLog, topic: &str, partition: u32, offset: u64) -> Result<Vec<Committed>> {
    let mut reader = log.reader(topic, partition, offset)?;
    let mut batch = Batch::new();
    let mut all = Vec::new();
    loop {
        let ended = reader.at_end()?;
        reader.poll(Duration::ZERO, &mut batch)?;
        all.extend(batch.iter().map(|record| Committed {
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            key: record.key.to_vec(),
            value: record.value.to_vec(),
        }));
        if ended && batch.is_empty() {
            return Ok(all);
        }
    }
}

/// All committed records of a partition.
///
/// # Panics
/// Where the log does not answer.
#[allow(clippy::expect_used, reason = "for tests on a log that lives")]
pub fn read(log: &MemoryLog, topic: &str, partition: u32) -> Vec<Committed> {
    read_from(log, topic, partition, 0).expect("a log in memory that lives answers")
}
