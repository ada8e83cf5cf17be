//! What live reads count.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Counters of live reads, registered once.
#[derive(Debug, Clone)]
pub struct ServeMetrics {
    /// Records read from output topics, by what they came to.
    pub records: IntCounterVec,
    /// Open connections.
    pub connections: IntGauge,
    /// Connections refused, by reason.
    pub refused: IntCounterVec,
    /// Messages pushed.
    pub pushed: IntCounter,
}

impl ServeMetrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// Where `registry` has metrics of the same name.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let records = IntCounterVec::new(
            Opts::new("millstream_serve_records_total", "Records read from output topics, by what they came to"),
            &["taken"],
        )?;
        let connections = IntGauge::new("millstream_serve_connections", "Open connections of live reads")?;
        let refused = IntCounterVec::new(
            Opts::new("millstream_serve_refused_total", "Live reads that were refused, by reason"),
            &["reason"],
        )?;
        let pushed = IntCounter::new("millstream_serve_messages_total", "Messages pushed to live connections")?;
        registry.register(Box::new(records.clone()))?;
        registry.register(Box::new(connections.clone()))?;
        registry.register(Box::new(refused.clone()))?;
        registry.register(Box::new(pushed.clone()))?;
        Ok(Self { records, connections, refused, pushed })
    }
}
