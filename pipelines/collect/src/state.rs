//! What all requests share.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use millstream_schemas::SchemaIds;
use millstream_transports::{Appender, Transport, TransportError};

use crate::auth::Sites;
use crate::config::{CollectConfig, SiteKeys};
use crate::metrics::CollectMetrics;

/// A collector on one log.
pub struct Collector {
    pub(crate) config: CollectConfig,
    pub(crate) sites: Sites,
    pub(crate) log: Box<dyn Appender>,
    pub(crate) partitions: u32,
    pub(crate) schema_ids: SchemaIds,
    pub(crate) metrics: Arc<CollectMetrics>,
    started: Instant,
}

impl Collector {
    /// Opens a producer to `topic` (`events.collected` with its namespace prefix).
    ///
    /// # Errors
    /// Where the topic does not exist or the log cannot be reached.
    pub fn new(
        config: CollectConfig,
        sites: Vec<SiteKeys>,
        transport: &dyn Transport,
        topic: &str,
        schema_ids: SchemaIds,
        metrics: Arc<CollectMetrics>,
    ) -> Result<Arc<Self>, TransportError> {
        let partitions = transport.partition_count(topic)?;
        let log = transport.appender(vec![topic.to_owned()])?;
        let started = Instant::now();
        Ok(Arc::new(Self { config, sites: Sites::new(sites), log, partitions, schema_ids, metrics, started }))
    }

    /// The receive time stamped on events, milliseconds since the epoch.
    pub(crate) fn now_ms(&self) -> i64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    pub(crate) fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}
