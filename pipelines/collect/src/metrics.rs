//! What the collector counts.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Counters of one collector, registered once.
#[derive(Debug)]
pub struct CollectMetrics {
    /// Events that the log has.
    pub accepted: IntCounter,
    /// Events refused, by reason.
    pub refused: IntCounterVec,
    /// Seconds from request to acknowledgement.
    pub append_seconds: Histogram,
    /// Bytes queued for the log and not yet durable.
    pub queued_bytes: IntGauge,
}

impl CollectMetrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// Where `registry` has metrics of the same name.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let accepted =
            IntCounter::new("millstream_collect_events_accepted_total", "Events that the log has made durable")?;
        let refused = IntCounterVec::new(
            Opts::new("millstream_collect_events_refused_total", "Events that were refused, by reason"),
            &["reason"],
        )?;
        let append_seconds = Histogram::with_opts(
            HistogramOpts::new(
                "millstream_collect_append_seconds",
                "Seconds from request to the log's acknowledgement",
            )
            .buckets(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0]),
        )?;
        let queued_bytes =
            IntGauge::new("millstream_collect_queued_bytes", "Bytes queued for the log and not yet durable")?;
        registry.register(Box::new(accepted.clone()))?;
        registry.register(Box::new(refused.clone()))?;
        registry.register(Box::new(append_seconds.clone()))?;
        registry.register(Box::new(queued_bytes.clone()))?;
        Ok(Self { accepted, refused, append_seconds, queued_bytes })
    }
}
