//! The same stages and traffic through a real broker: what the two hops add.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use millstream_kafka::{KafkaConfig, KafkaTransport};
use millstream_runtime::Worker;
use millstream_transports::Transport;

use crate::traffic::{Collectable, Traffic, append};
use crate::{Options, cpu, whole};

/// What an event took.
pub struct Hops {
    /// CPU nanoseconds of the whole process.
    pub cpu_ns: u64,
    /// Events a second, by the wall clock.
    pub events_per_second: u64,
}

/// Events in the log before the workers begin, so that they never wait for the producer.
const WARM_UP: u64 = 50_000;

pub fn measure(options: &Options, brokers: &str) -> Hops {
    let config = KafkaConfig { development: true, ..KafkaConfig::new(brokers) };
    let transport: Arc<dyn Transport> =
        Arc::new(KafkaTransport::new(config).expect("the broker's address is well-formed"));
    let namespace = format!("bench-{}.", std::process::id());
    let (ingest, profile) = whole::factories(options.partitions, options.heuristic);
    let mut workers = [
        whole::worker(&transport, Arc::new(ingest), &namespace),
        whole::worker(&transport, Arc::new(profile), &namespace),
    ];
    let appender = transport.appender(vec![format!("{namespace}events.collected")]).expect("the topic exists");
    let mut traffic = Traffic::new(options.seed, options.people, options.partitions);
    let mut fill = |events: u64| {
        let mut left = events;
        while left > 0 {
            let round: Vec<Collectable> = (0..left.min(10_000)).map(|_| traffic.next_event()).collect();
            left -= round.len() as u64;
            append(appender.as_ref(), &round);
            while appender.queued_bytes() > 0 {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
    };
    fill(WARM_UP);
    drain(&mut workers);
    let events = options.events.min(500_000);
    fill(events);
    let (started, before) = (Instant::now(), cpu::process_ns());
    drain(&mut workers);
    let seconds = started.elapsed().as_secs_f64();
    Hops { cpu_ns: (cpu::process_ns() - before) / events, events_per_second: (events as f64 / seconds) as u64 }
}

/// Until each in turn has found its input read to the end twice.
fn drain(workers: &mut [Worker]) {
    for worker in workers.iter_mut() {
        let stats = worker.stats();
        let checks = || stats.caught_up_checks.load(Ordering::Acquire);
        let asked_at = checks();
        while checks() < asked_at + 2 {
            worker.step().expect("the broker answers");
        }
    }
}
