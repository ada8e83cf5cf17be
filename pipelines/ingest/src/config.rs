//! What an ingest task is given when it is made. What may differ per shop is in control records instead.

use millstream_schemas::SchemaIds;
use millstream_transports::TopicSpec;

use crate::breaker::BreakerConfig;

/// The topics of the stage, as they must exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestTopics {
    /// `events.collected`: the input, and where ticks go.
    pub collected: TopicSpec,
    /// `events`.
    pub events: TopicSpec,
    /// `events.rejected`; as many partitions as the input.
    pub rejected: TopicSpec,
    /// `identity`; as many partitions as the input.
    pub identity: TopicSpec,
    /// `ledger`; as many partitions as the input.
    pub ledger: TopicSpec,
}

/// Settings of the ingest stage. All but the topics have defaults: [`IngestConfig::new`].
#[derive(Debug, Clone)]
pub struct IngestConfig {
    /// The topics.
    pub topics: IngestTopics,
    /// Schema ids on the wire; identity without a registry.
    pub schema_ids: SchemaIds,
    /// How far live input's watermark stays behind its newest receive time, milliseconds: what collectors may still be appending.
    pub watermark_bound_ms: i64,
    /// The least time event ids are remembered, milliseconds; a site with a longer horizon lengthens it.
    pub dedup_horizon_ms: i64,
    /// Memory for event ids within the horizon, bytes a partition; beyond it the partition stops.
    pub dedup_budget_bytes: usize,
    /// Devices and users without device that a partition may know; beyond it the partition stops.
    pub max_identities: usize,
    /// When a partition stops because too much of it is refused; by default never.
    pub breaker: BreakerConfig,
}

impl IngestConfig {
    /// The defaults: a bound of one second, a day of ids in 512 MiB (11 million) and 20 million identities a partition.
    pub fn new(topics: IngestTopics) -> Self {
        Self {
            topics,
            schema_ids: SchemaIds::identity(),
            watermark_bound_ms: 1_000,
            dedup_horizon_ms: 86_400_000,
            dedup_budget_bytes: 512 << 20,
            max_identities: 20_000_000,
            breaker: BreakerConfig::default(),
        }
    }
}
