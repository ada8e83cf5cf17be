//! Requests at fixed times, in three phases.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use millstream_benches::system::{Answer, System};
use millstream_benches::traffic::Request;

use crate::{Options, sleep_until};

/// Base load, burst, base load.
pub struct Phases {
    batch: u64,
    /// Seconds and events a second.
    phases: [(u64, u64); 3],
}

impl Phases {
    pub fn of(options: &Options) -> Self {
        let base = (options.base_seconds, options.base_rate);
        Self { batch: options.batch, phases: [base, (options.burst_seconds, options.burst_rate), base] }
    }

    pub fn burst_begins(&self) -> Duration {
        Duration::from_secs(self.phases[0].0)
    }

    /// Events in all.
    pub fn offered(&self) -> u64 {
        self.requests() * self.batch
    }

    fn requests(&self) -> u64 {
        self.phases.iter().map(|(seconds, rate)| seconds * rate / self.batch).sum()
    }

    /// When a request is due, from the start on.
    fn due(&self, number: u64) -> Duration {
        let (mut first, mut begins) = (0, Duration::ZERO);
        for (seconds, rate) in self.phases {
            let requests = seconds * rate / self.batch;
            if number < first + requests {
                return begins + Duration::from_secs_f64((number - first) as f64 * self.batch as f64 / rate as f64);
            }
            first += requests;
            begins += Duration::from_secs(seconds);
        }
        begins
    }

    /// The name of the phase at this second.
    pub fn name(&self, second: u64) -> &'static str {
        let [before, burst, after] = self.phases.map(|(seconds, _)| seconds);
        match second {
            second if second < before => "base",
            second if second < before + burst => "burst",
            second if second < before + burst + after => "base",
            _ => "drain",
        }
    }
}

/// What came of requests, all connections together.
#[derive(Default)]
pub struct Counts {
    acknowledged: AtomicU64,
    given_up: AtomicU64,
    too_many: AtomicU64,
    unavailable: AtomicU64,
    unanswered: AtomicU64,
}

impl Counts {
    /// Events.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Events whose sender's patience ended.
    pub fn given_up(&self) -> u64 {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Requests refused with this status; 0: without an answer.
    pub fn of(&self, status: u16) -> u64 {
        self.counter(status).load(Ordering::Relaxed)
    }

    fn counter(&self, status: u16) -> &AtomicU64 {
        match status {
            429 => &self.too_many,
            503 => &self.unavailable,
            _ => &self.unanswered,
        }
    }
}

/// Sends everything; the acknowledged ids.
pub fn run(options: &Options, system: &System, phases: &Phases, counts: &Counts, started: Instant) -> Vec<String> {
    let patience = Duration::from_secs(options.patience_seconds);
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..options.connections)
            .map(|connection| {
                scope.spawn(move || {
                    let client = system.client();
                    let mut acknowledged = Vec::new();
                    for number in (connection..phases.requests()).step_by(options.connections as usize) {
                        let due = started + phases.due(number);
                        sleep_until(due);
                        // Late by more than anybody waits: the connection is behind, and this one was never sent.
                        if due.elapsed() > patience {
                            counts.given_up.fetch_add(options.batch, Ordering::Relaxed);
                            continue;
                        }
                        let request = Request::new(options.batch, options.people, "burst", number);
                        loop {
                            match client.try_send(&request.body) {
                                Answer::Taken => {
                                    counts.acknowledged.fetch_add(options.batch, Ordering::Relaxed);
                                    acknowledged.extend(request.ids);
                                    break;
                                }
                                Answer::Later(status) => {
                                    counts.counter(status).fetch_add(1, Ordering::Relaxed);
                                    if due.elapsed() > patience {
                                        counts.given_up.fetch_add(options.batch, Ordering::Relaxed);
                                        break;
                                    }
                                    // What Retry-After says.
                                    std::thread::sleep(Duration::from_secs(1));
                                }
                            }
                        }
                    }
                    acknowledged
                })
            })
            .collect();
        senders.into_iter().flat_map(|sender| sender.join().expect("a sender ends well")).collect()
    })
}
