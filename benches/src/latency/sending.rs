//! The load: tracker batches, as fast as they are taken or at fixed times.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use millstream_benches::system::System;
use millstream_benches::traffic::Request;

use crate::Options;
use crate::scores::ScoreLog;
use crate::visible::Watch;

/// When each informative event was due.
#[derive(Default)]
pub struct Sent {
    pub due: HashMap<String, Instant>,
}

/// Events a second from the first request to the last score, with every connection sending as fast as it is answered.
pub fn capacity(options: &Options, system: &System, log: &ScoreLog) -> u64 {
    let requests = options.capacity_events / options.batch;
    let already = log.len();
    let started = Instant::now();
    let sent = run(options, system, requests, "full", None, |_| started);
    while log.len() < already + sent.due.len() {
        assert!(started.elapsed() < Duration::from_secs(600), "the system does not keep up at all");
        std::thread::sleep(Duration::from_millis(10));
    }
    (requests as f64 * options.batch as f64 / started.elapsed().as_secs_f64()) as u64
}

/// `rate` events a second for `seconds`, due at fixed times.
pub fn open_loop(
    options: &Options,
    system: &System,
    rate: u64,
    seconds: u64,
    label: &str,
    watch: Option<&Watch>,
) -> Sent {
    let requests = rate * seconds / options.batch;
    let interval = Duration::from_secs_f64(options.batch as f64 / rate as f64);
    let started = Instant::now();
    run(options, system, requests, label, watch, |number| started + interval.mul_f64(number as f64))
}

fn run(
    options: &Options,
    system: &System,
    requests: u64,
    label: &str,
    watch: Option<&Watch>,
    due: impl Fn(u64) -> Instant + Sync,
) -> Sent {
    let mut sent = Sent::default();
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..options.connections)
            .map(|connection| {
                let due = &due;
                scope.spawn(move || {
                    let client = system.client();
                    let mut mine = Vec::new();
                    for number in (connection..requests).step_by(options.connections as usize) {
                        let request = Request::new(options.batch, options.people, label, number);
                        let due = due(number);
                        std::thread::sleep(due.saturating_duration_since(Instant::now()));
                        if let (Some(watch), Some(id)) = (watch, request.ids.first()) {
                            watch.offer(id, due);
                        }
                        client.send(&request.body);
                        mine.extend(request.informative().map(|id| (id.clone(), due)));
                    }
                    mine
                })
            })
            .collect();
        for sender in senders {
            sent.due.extend(sender.join().expect("a sender ends well"));
        }
    });
    sent
}
