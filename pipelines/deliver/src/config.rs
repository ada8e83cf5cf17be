//! What can be set about delivery.

use millstream_schemas::{SchemaIds, purposes};
use serde::{Deserialize, Serialize};

/// How large batches get and how often they are inserted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchLimits {
    /// Rows of a batch at most. At most 1,000,000: beyond that ClickHouse would split an insert into several blocks.
    pub max_rows: usize,
    /// Encoded bytes of a batch at most.
    pub max_bytes: usize,
    /// How long a record waits for others at most, in milliseconds.
    pub max_age_ms: u64,
    /// Inserts a table should see in a second at most. With many partitions batches wait longer than `max_age_ms`, so that
    /// inserts stay few: partitions × 1000 / this, in milliseconds.
    pub max_inserts_per_table_and_second: u32,
    /// Encoded bytes of all open batches of one deliverer at most, all partitions together.
    pub max_buffered_bytes: usize,
    /// Batches of different partitions that are inserted at the same time.
    pub parallel_inserts: usize,
}

impl BatchLimits {
    /// For ClickHouse: half a second, large blocks, a few inserts at a time.
    pub fn clickhouse() -> Self {
        Self {
            max_rows: 100_000,
            max_bytes: 32 << 20,
            max_age_ms: 500,
            max_inserts_per_table_and_second: 8,
            max_buffered_bytes: 64 << 20,
            parallel_inserts: 4,
        }
    }

    /// For Parquet files: longer, because every batch is a file; one at a time, because encoding is work of this process.
    pub fn parquet() -> Self {
        Self { max_age_ms: 2_000, max_inserts_per_table_and_second: 4, parallel_inserts: 1, ..Self::clickhouse() }
    }

    /// Finds the setting that makes no sense.
    pub fn check(&self) -> Result<(), String> {
        let refuse = |what: &str| Err(format!("deliver limits: {what}"));
        match self {
            Self { max_rows: 0, .. } => refuse("max_rows must be at least 1"),
            Self { max_rows, .. } if *max_rows > 1_000_000 => refuse("max_rows must be at most 1000000"),
            Self { max_bytes, .. } if !(1024..=256 << 20).contains(max_bytes) => {
                refuse("max_bytes must be between 1024 and 268435456")
            }
            Self { max_inserts_per_table_and_second: 0, .. } => {
                refuse("max_inserts_per_table_and_second must be at least 1")
            }
            Self { max_buffered_bytes, max_bytes, .. } if max_buffered_bytes < max_bytes => {
                refuse("max_buffered_bytes must be at least max_bytes")
            }
            Self { parallel_inserts, .. } if !(1..=64).contains(parallel_inserts) => {
                refuse("parallel_inserts must be between 1 and 64")
            }
            _ => Ok(()),
        }
    }

    /// How long a batch of a topic with so many partitions may wait, in milliseconds.
    pub fn age_limit_ms(&self, partitions: u32) -> u64 {
        let spread = u64::from(partitions) * 1_000 / u64::from(self.max_inserts_per_table_and_second.max(1));
        self.max_age_ms.max(spread)
    }
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self::clickhouse()
    }
}

/// How a deliverer works.
#[derive(Clone, Debug)]
pub struct DeliverConfig {
    /// Consumer group; by convention `deliver-<sink>`. Its committed offsets are the sink's progress.
    pub group: String,
    /// Static member id within the group.
    pub instance_id: String,
    /// What precedes every topic's name (a namespace, with its separator); usually empty.
    pub topic_prefix: String,
    /// Purposes a row must have consent for to reach this sink, as bits ([`purposes`]). Records without a `consent` field pass; where a
    /// key can have an earlier row, one without consent becomes a retraction that tells the key alone.
    pub required_purposes: i32,
    /// A registry's schema ids; identity without one.
    pub schema_ids: SchemaIds,
    /// Batches.
    pub limits: BatchLimits,
    /// Unreadable records in a row, in one partition, after which the deliverer stops: that is a bad deployment or a damaged
    /// log, not a bad record.
    pub max_rejects_in_a_row: u32,
    /// First wait after a failed insert, in milliseconds; doubles up to `max_backoff_ms`.
    pub min_backoff_ms: u64,
    /// Longest wait between attempts, in milliseconds.
    pub max_backoff_ms: u64,
}

impl DeliverConfig {
    /// The defaults for the sink called `sink` (group `deliver-<sink>`), with these limits.
    pub fn new(sink: &str, instance_id: impl Into<String>, limits: BatchLimits) -> Self {
        Self {
            group: format!("deliver-{sink}"),
            instance_id: instance_id.into(),
            topic_prefix: String::new(),
            required_purposes: purposes::NECESSARY,
            schema_ids: SchemaIds::identity(),
            limits,
            max_rejects_in_a_row: 1_000,
            min_backoff_ms: 100,
            max_backoff_ms: 10_000,
        }
    }
}
