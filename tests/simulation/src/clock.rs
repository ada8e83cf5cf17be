//! Time that stands still until the scheduler moves it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use millstream_runtime::Clock;

/// Two clocks that are moved by hand. The shop's (`now_ms`) leaps from event to event; the machine's (`monotonic`), by which
/// sessions and transactions time out and epochs end, goes on by milliseconds.
#[derive(Debug)]
pub struct HeldClock {
    wall_ms: AtomicI64,
    monotonic_ms: AtomicI64,
}

impl HeldClock {
    /// A clock that shows this time of the shop.
    pub fn new(wall_ms: i64) -> Self {
        Self { wall_ms: AtomicI64::new(wall_ms), monotonic_ms: AtomicI64::new(0) }
    }

    /// Milliseconds since the start, by the machine's clock.
    pub fn monotonic_ms(&self) -> i64 {
        self.monotonic_ms.load(Ordering::Relaxed)
    }

    /// Lets the machine's clock go on, and the shop's with it.
    pub fn advance(&self, ms: i64) {
        self.monotonic_ms.fetch_add(ms, Ordering::Relaxed);
        self.wall_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// Lets the shop's clock leap ahead; it never goes back.
    pub fn leap_to(&self, wall_ms: i64) {
        self.wall_ms.fetch_max(wall_ms, Ordering::Relaxed);
    }
}

impl Clock for HeldClock {
    fn now_ms(&self) -> i64 {
        self.wall_ms.load(Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.monotonic_ms().unsigned_abs())
    }
}
