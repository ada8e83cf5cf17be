//! Why a deliverer stops.

use millstream_transports::TransportError;

use crate::intent::Intent;

/// What a deliverer cannot go on from. A sink that is down is none of these: that is lag.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// The log failed in a way that retrying does not mend.
    #[error("deliver {group}: {source}")]
    Transport {
        /// Consumer group.
        group: String,
        /// What the log said.
        source: TransportError,
    },
    /// After a restart the batch is not the one that may already be in the sink.
    #[error(
        "deliver {group}: {topic}[{partition}]: the intended batch cannot be rebuilt: {why}. Intended: {intended:?}. Nothing was \
         inserted. If the purposes or the binary were changed, finish this batch with the former ones first; if the log was, \
         remove the rows of table {table} with log_partition {partition} and log_offset {} to {} and commit offset {} for the \
         group, without metadata", intended.first, intended.last, intended.first
    )]
    Mismatch {
        /// Consumer group.
        group: String,
        /// Topic name.
        topic: String,
        /// Partition.
        partition: u32,
        /// Table.
        table: &'static str,
        /// What was to be inserted.
        intended: Box<Intent>,
        /// What differs.
        why: String,
    },
    /// The sink holds something that contradicts the batch.
    #[error("deliver {group}: batch {batch}: {why}")]
    Conflict {
        /// Consumer group.
        group: String,
        /// The batch.
        batch: String,
        /// What the sink holds, and what to do.
        why: String,
    },
    /// Metadata beside the group's offset that we did not write.
    #[error(
        "deliver {group}: {topic}[{partition}]: the metadata beside the committed offset is no intent ({why}): {metadata:?}"
    )]
    ForeignMetadata {
        /// Consumer group.
        group: String,
        /// Topic name.
        topic: String,
        /// Partition.
        partition: u32,
        /// What stands there.
        metadata: String,
        /// Why it cannot be read.
        why: String,
    },
    /// So many unreadable records in a row that the binary, or the log, is to blame.
    #[error(
        "deliver {group}: {topic}[{partition}]: {count} unreadable records in a row up to offset {offset} ({detail}); stopped, \
         because that is a wrong binary or a damaged topic and not a bad record"
    )]
    TooManyRejects {
        /// Consumer group.
        group: String,
        /// Topic name.
        topic: String,
        /// Partition.
        partition: u32,
        /// The last of them.
        offset: u64,
        /// How many.
        count: u32,
        /// What was wrong with the last one.
        detail: String,
    },
    /// Another process uses the same name, and each takes the other's partitions.
    #[error(
        "deliver {group}: fenced {fencings} times within {seconds} s, the last time because: {why}. Another process runs with the          same instance name \"{instance}\": give every process a name of its own (setting `instance`), or stop the other one"
    )]
    SameInstance {
        /// Consumer group.
        group: String,
        /// The name.
        instance: String,
        /// How often.
        fencings: usize,
        /// Within how many seconds.
        seconds: u64,
        /// What the log said last.
        why: String,
    },
    /// A setting that makes no sense.
    #[error("{0}")]
    Config(String),
}
