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
    /// Bytes that requests being worked on may take.
    pub in_flight_bytes: IntGauge,
    /// Whole requests refused, by HTTP status.
    pub refused_requests: IntCounterVec,
    /// 1 while the log takes events, as far as the last request tells.
    pub log_up: IntGauge,
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
        let in_flight_bytes =
            IntGauge::new("millstream_collect_in_flight_bytes", "Bytes that requests being worked on may take")?;
        let refused_requests = IntCounterVec::new(
            Opts::new("millstream_collect_requests_refused_total", "Requests refused as a whole, by HTTP status"),
            &["status"],
        )?;
        let log_up =
            IntGauge::new("millstream_collect_log_up", "1 while the log takes events, as the last request found")?;
        log_up.set(1);
        registry.register(Box::new(log_up.clone()))?;
        registry.register(Box::new(in_flight_bytes.clone()))?;
        registry.register(Box::new(refused_requests.clone()))?;
        registry.register(Box::new(accepted.clone()))?;
        registry.register(Box::new(refused.clone()))?;
        registry.register(Box::new(append_seconds.clone()))?;
        registry.register(Box::new(queued_bytes.clone()))?;
        Ok(Self { accepted, refused, append_seconds, queued_bytes, in_flight_bytes, refused_requests, log_up })
    }
}
