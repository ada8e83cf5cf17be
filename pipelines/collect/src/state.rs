//! What all requests share.

use std::sync::Arc;
use std::time::{Duration, Instant};

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
    /// Milliseconds since the epoch: the receive time stamped on events. Injected, so that a simulation owns it.
    now_ms: WallClock,
    started: Instant,
}

/// A wall clock in milliseconds since the epoch.
pub type WallClock = Box<dyn Fn() -> i64 + Send + Sync>;

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
        now_ms: WallClock,
    ) -> Result<Arc<Self>, TransportError> {
        let partitions = transport.partition_count(topic)?;
        let log = transport.appender(vec![topic.to_owned()])?;
        let started = Instant::now();
        Ok(Arc::new(Self { config, sites: Sites::new(sites), log, partitions, schema_ids, metrics, now_ms, started }))
    }

    pub(crate) fn now_ms(&self) -> i64 {
        (self.now_ms)()
    }

    pub(crate) fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}
