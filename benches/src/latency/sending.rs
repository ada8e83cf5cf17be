//! The load: tracker batches, as fast as they are taken or at fixed times.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::Options;
use crate::scores::ScoreLog;
use crate::system::System;
use crate::visible::Watch;

/// When each informative event was due.
#[derive(Default)]
pub struct Sent {
    pub due: HashMap<String, Instant>,
}

/// One request: `options.batch` events of one device. Every second one is informative (a product view), the others are pings.
fn request(options: &Options, label: &str, number: u64, informative: &mut Vec<String>) -> String {
    // A multiplicative hash spreads devices evenly and repeatably.
    let device = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % options.people;
    let mut body = String::from(r#"{"events":["#);
    for at in 0..options.batch {
        let id = format!("{label}-{number}-{at}");
        let separator = if at == 0 { "" } else { "," };
        let page = r#""page":{"url":"https://shop.example/category/shoes?utm_source=newsletter&utm_medium=email","title":"Running shoes"}"#;
        let rest = if at % 2 == 0 {
            r#""type":"product_view","product":{"id":"sku-1","price":"19.90","currency":"EUR"}"#
        } else {
            r#""type":"page_ping","ping":{"engaged_ms":10000,"scroll_depth_pct":55}"#
        };
        write!(body, r#"{separator}{{"id":"{id}","device":"dev-{device}",{page},{rest}}}"#).expect("a string takes it");
        if at % 2 == 0 {
            informative.push(id);
        }
    }
    body.push_str("]}");
    body
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
                        let mut ids = Vec::new();
                        let body = request(options, label, number, &mut ids);
                        let due = due(number);
                        std::thread::sleep(due.saturating_duration_since(Instant::now()));
                        if let (Some(watch), Some(id)) = (watch, ids.first()) {
                            watch.offer(id, due);
                        }
                        client.send(&body);
                        mine.extend(ids.into_iter().map(|id| (id, due)));
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
