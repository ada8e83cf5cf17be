//! What all requests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use millstream_schemas::SchemaIds;
use millstream_transports::{Appender, Transport, TransportError};
use parking_lot::Mutex;

use crate::auth::Sites;
use crate::config::{CollectConfig, SiteKeys};
use crate::in_flight::InFlight;
use crate::metrics::CollectMetrics;

/// A collector on one log.
pub struct Collector {
    pub(crate) config: CollectConfig,
    pub(crate) sites: Sites,
    pub(crate) log: Box<dyn Appender>,
    pub(crate) partitions: u32,
    pub(crate) schema_ids: SchemaIds,
    pub(crate) metrics: Arc<CollectMetrics>,
    pub(crate) in_flight: Arc<InFlight>,
    /// Milliseconds since the epoch: the receive time stamped on events. Injected, so that a simulation owns it.
    now_ms: WallClock,
    started: Instant,
    /// Whether the log refused or did not confirm the last unit.
    log_failing: AtomicBool,
    /// The namespace that has taken over, where this one is closed.
    successor: Mutex<Option<String>>,
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
        let in_flight = InFlight::new(config.max_in_flight_bytes, metrics.in_flight_bytes.clone());
        let started = Instant::now();
        Ok(Arc::new(Self {
            config,
            sites: Sites::new(sites),
            log,
            partitions,
            schema_ids,
            metrics,
            in_flight,
            now_ms,
            started,
            log_failing: AtomicBool::new(false),
            successor: Mutex::new(None),
        }))
    }

    pub(crate) fn now_ms(&self) -> i64 {
        (self.now_ms)()
    }

    pub(crate) fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    /// Notes how the log answered, and says so where that has changed: an outage must not flood the log with a line a request.
    pub(crate) fn log_answered(&self, refused: Option<&str>) {
        let failing = refused.is_some();
        self.metrics.log_up.set(i64::from(!failing));
        if self.log_failing.swap(failing, Ordering::Relaxed) == failing {
            return;
        }
        match refused {
            Some(why) => tracing::error!(why, "the log takes no events; requests are refused until it does"),
            None => tracing::info!("the log takes events again"),
        }
    }

    /// Why no event could be taken now, as far as the log has told.
    pub(crate) fn unready(&self) -> Option<String> {
        let is_failing = self.log_failing.load(Ordering::Relaxed);
        self.closed().or_else(|| is_failing.then(|| "the log does not answer".to_owned()))
    }

    /// Says whether another namespace has taken over. Requests are refused then: the new one's collectors take them.
    pub fn close(&self, successor: Option<String>) {
        let mut known = self.successor.lock();
        if *known == successor {
            return;
        }
        match &successor {
            Some(successor) => tracing::warn!(successor, "this namespace was handed over; requests are refused"),
            None => tracing::info!("this namespace is open again"),
        }
        *known = successor;
    }

    /// Why requests are refused, where another namespace has taken over.
    pub(crate) fn closed(&self) -> Option<String> {
        let successor = self.successor.lock();
        let name = successor.as_deref()?;
        Some(format!("this namespace was handed over to {name:?}; send again, to a collector of that one"))
    }
}
