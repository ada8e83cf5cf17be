//! What can be set on a local log, and its limits.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// Milliseconds that never go back. Only session and transaction time-outs look at it, so a test or a simulation can hold it.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Clock {
    /// A clock that asks `now_ms` each time.
    pub fn new(now_ms: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now_ms))
    }

    /// Milliseconds since this clock was made, by the machine's monotonic clock.
    pub fn monotonic() -> Self {
        let start = Instant::now();
        Self::new(move || i64::try_from(start.elapsed().as_millis()).unwrap_or(i64::MAX))
    }

    /// The time, in milliseconds.
    pub fn now_ms(&self) -> i64 {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Limits and time-outs of a local log. The defaults are Kafka's where Kafka has them.
#[derive(Debug, Clone)]
pub struct LocalOptions {
    /// How long a member that went away without [`crate::Member::close`] keeps its partitions, in milliseconds.
    pub session_timeout_ms: i64,
    /// How long a member may go without polling before it is taken for dead, in milliseconds; `None`: it is trusted to come back. A
    /// log in one process has no need of it: who holds a partition there dies with the log.
    pub max_poll_interval_ms: Option<i64>,
    /// How long a transaction may stay open, in milliseconds; afterwards it is aborted and its owner fenced.
    pub transaction_timeout_ms: i64,
    /// Largest record, key and value together.
    pub max_record_bytes: usize,
    /// Most bytes that one transaction may hold; `send` answers with `QueueFull` above it.
    pub max_transaction_bytes: usize,
    /// Most bytes that acknowledged appends may have waiting; `append` answers with `QueueFull` above it.
    pub max_queued_bytes: usize,
    /// About how many bytes one poll delivers (it ends with the record that reaches it).
    pub poll_bytes: usize,
    /// The clock of the time-outs.
    pub clock: Clock,
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self {
            session_timeout_ms: 10_000,
            max_poll_interval_ms: None,
            transaction_timeout_ms: 10_000,
            max_record_bytes: 1_048_576,
            max_transaction_bytes: 64 << 20,
            max_queued_bytes: 32 << 20,
            poll_bytes: 1 << 20,
            clock: Clock::monotonic(),
        }
    }
}

/// Longest note beside an offset, in bytes (the interface's promise).
pub(crate) const MAX_METADATA_BYTES: usize = 3_000;
