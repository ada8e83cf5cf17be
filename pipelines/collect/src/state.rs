//! What all requests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use millstream_schemas::SchemaIds;
use millstream_schemas::input::Reason;
use millstream_transports::{Appender, Transport, TransportError};
use parking_lot::Mutex;

use crate::answer::Refused;
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
    /// What is known of another namespace that takes over; `None` where nobody looks.
    lease: Mutex<Option<Lease>>,
}

/// What the last look for a hand-over has told.
#[derive(Debug, Clone)]
struct Lease {
    /// The namespace that has taken over, where one has.
    successor: Option<String>,
    /// When the look began, of the monotonic clock.
    looked_at: Duration,
}

impl Lease {
    fn stands_at(&self, now: Duration) -> Result<(), Refused> {
        if let Some(name) = &self.successor {
            let why = format!("this namespace was handed over to {name:?}; send again, to a collector of that one");
            return Err(Refused::new(Reason::NamespaceClosed, why));
        }
        if now.saturating_sub(self.looked_at) > LEASE {
            let why = "control records could not be read for a while; send again with the same ids";
            return Err(Refused::new(Reason::Unavailable, why));
        }
        Ok(())
    }
}

/// How long a look for a hand-over stands for. Who acknowledges an event with an older one may have slept through a hand-over, and with
/// it the moment until which late events are looked for: a hand-over waits longer than this.
pub const LEASE: Duration = Duration::from_secs(10);

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
            lease: Mutex::new(None),
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
        let refused = self.closed().err().map(|refused| refused.detail);
        refused.or_else(|| is_failing.then(|| "the log does not answer".to_owned()))
    }

    /// Now, as [`Collector::looked`] takes it.
    pub fn monotonic_now(&self) -> Duration {
        self.monotonic()
    }

    /// Says what a look that began at `looked_at` has told: whether another namespace has taken over. Requests are refused then, and where
    /// the last look is older than [`LEASE`].
    pub fn looked(&self, successor: Option<String>, looked_at: Duration) {
        let mut lease = self.lease.lock();
        let known = lease.as_ref().and_then(|lease| lease.successor.as_ref());
        if known != successor.as_ref() {
            match &successor {
                Some(successor) => tracing::warn!(successor, "this namespace was handed over; requests are refused"),
                None => tracing::info!("this namespace is open again"),
            }
        }
        *lease = Some(Lease { successor, looked_at });
    }

    /// Refuses where another namespace has taken over, or may have.
    pub(crate) fn closed(&self) -> Result<(), Refused> {
        self.lease.lock().as_ref().map_or(Ok(()), |lease| lease.stands_at(self.monotonic()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_look_stands_for_so_long_and_no_longer() {
        let looked_at = Duration::from_secs(60);
        let lease = Lease { successor: None, looked_at };
        assert_eq!(lease.stands_at(looked_at + LEASE), Ok(()));
        let refused = lease.stands_at(looked_at + LEASE + Duration::from_millis(1)).unwrap_err();
        assert_eq!(refused.reason, Reason::Unavailable);
        let closed = Lease { successor: Some("rebuilt.".to_owned()), looked_at };
        assert_eq!(closed.stands_at(looked_at).unwrap_err().reason, Reason::NamespaceClosed);
    }
}
