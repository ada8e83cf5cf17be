//! Time in the demo: the simulation's while it plays, the machine's afterwards.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use millstream_runtime::{Clock, SystemClock};

/// The machine's wall clock, unless the simulation holds it.
#[derive(Debug)]
pub struct DemoClock {
    machine: SystemClock,
    /// 0: released.
    held_at_ms: AtomicI64,
}

impl DemoClock {
    /// Held at `start_ms`.
    pub fn held(start_ms: i64) -> Self {
        Self { machine: SystemClock::new(), held_at_ms: AtomicI64::new(start_ms) }
    }

    /// Simulated time goes on to `now_ms`.
    pub fn hold(&self, now_ms: i64) {
        self.held_at_ms.store(now_ms, Ordering::Release);
    }

    /// From here on it is the machine's time.
    pub fn release(&self) {
        self.hold(0);
    }
}

impl Clock for DemoClock {
    fn now_ms(&self) -> i64 {
        match self.held_at_ms.load(Ordering::Acquire) {
            0 => self.machine.now_ms(),
            held => held,
        }
    }

    fn monotonic(&self) -> Duration {
        self.machine.monotonic()
    }
}
