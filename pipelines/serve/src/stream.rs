//! How fast the stream is: events per second, and from receipt to consumed score.

use std::collections::{HashMap, VecDeque};

use serde_json::{Value as Json, json};

/// How far back the figures reach, milliseconds.
const WINDOW_MS: i64 = 60_000;
const WINDOW_S: usize = 60;
/// Measurements kept; the oldest go first.
const MAX_SAMPLES: usize = 8_192;
/// Events that wait for their score, and scores that wait for their event.
const MAX_WAITING: usize = 16_384;

/// Sliding windows over what was consumed while it happened. What is read again, or from before the start, is not counted.
#[derive(Default)]
pub(crate) struct Stream {
    /// Events by the second of their receipt; the newest last.
    seconds: VecDeque<(i64, u64)>,
    /// (when the score was consumed, milliseconds since its event was received)
    samples: VecDeque<(i64, i64)>,
    /// When an event was received, by its id.
    received: Waiting,
    /// When a score was consumed that came before its event, by the event's id.
    scored: Waiting,
}

/// Times by event id, the oldest forgotten first.
#[derive(Default)]
struct Waiting {
    times: HashMap<Box<str>, i64>,
    order: VecDeque<Box<str>>,
}

impl Waiting {
    fn insert(&mut self, id: &str, time_ms: i64) {
        if self.times.insert(id.into(), time_ms).is_none() {
            self.order.push_back(id.into());
        }
        while self.order.len() > MAX_WAITING {
            if let Some(oldest) = self.order.pop_front() {
                self.times.remove(&oldest);
            }
        }
    }

    fn get(&self, id: &str) -> Option<i64> {
        self.times.get(id).copied()
    }
}

impl Stream {
    /// An event was consumed at `now_ms` that the collector had received at `received_ms`.
    pub fn event(&mut self, id: &str, received_ms: i64, now_ms: i64) {
        if now_ms - received_ms > WINDOW_MS {
            return;
        }
        let second = received_ms.div_euclid(1_000);
        match self.seconds.iter_mut().rev().find(|(at, _)| *at == second) {
            Some((_, count)) => *count += 1,
            None => {
                let at = self.seconds.partition_point(|(at, _)| *at < second);
                self.seconds.insert(at, (second, 1));
            }
        }
        while self.seconds.len() > 2 * WINDOW_S {
            self.seconds.pop_front();
        }
        match self.scored.get(id) {
            Some(scored_ms) => self.sample(scored_ms, scored_ms - received_ms),
            None => self.received.insert(id, received_ms),
        }
    }

    /// A score was consumed at `now_ms` that the event `source_event` had caused.
    pub fn score(&mut self, source_event: &str, now_ms: i64) {
        if source_event.is_empty() {
            return;
        }
        match self.received.get(source_event) {
            Some(received_ms) => self.sample(now_ms, now_ms - received_ms),
            None => self.scored.insert(source_event, now_ms),
        }
    }

    fn sample(&mut self, at_ms: i64, latency_ms: i64) {
        if (0..=WINDOW_MS).contains(&latency_ms) {
            self.samples.push_back((at_ms, latency_ms));
        }
        while self.samples.len() > MAX_SAMPLES {
            self.samples.pop_front();
        }
    }

    /// The figures of the last minute: `per_second` has one number a second, the newest, which is over, last.
    pub fn figures(&self, now_ms: i64) -> Json {
        let now_s = now_ms.div_euclid(1_000);
        let first_s = now_s - WINDOW_S as i64;
        let mut per_second = vec![0u64; WINDOW_S];
        for (second, count) in &self.seconds {
            if let Some(place) = usize::try_from(second - first_s).ok().and_then(|at| per_second.get_mut(at)) {
                *place = *count;
            }
        }
        let recent = self.samples.iter().filter(|(at_ms, _)| now_ms - at_ms <= WINDOW_MS);
        let mut latencies_ms: Vec<i64> = recent.map(|(_, latency_ms)| *latency_ms).collect();
        latencies_ms.sort_unstable();
        json!({
            "events_per_s": per_second.last(),
            "per_second": per_second,
            "latency_ms": {
                "p50": quantile(&latencies_ms, 50),
                "p99": quantile(&latencies_ms, 99),
                "samples": latencies_ms.len(),
            },
        })
    }
}

/// The smallest value that at least `percent` of the sorted values do not exceed.
fn quantile(sorted: &[i64], percent: usize) -> Option<i64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_790_000_000_500;

    #[test]
    fn events_are_counted_in_the_second_of_their_receipt() {
        let mut stream = Stream::default();
        for (n, ago_ms) in [(0, 600), (1, 700), (2, 1_600), (3, 200), (4, 59_600), (5, 61_000)] {
            stream.event(&format!("e{n}"), NOW_MS - ago_ms, NOW_MS);
        }
        let figures = stream.figures(NOW_MS);
        assert_eq!(figures["events_per_s"], 2);
        let per_second: Vec<u64> =
            figures["per_second"].as_array().into_iter().flatten().filter_map(Json::as_u64).collect();
        assert_eq!(per_second.len(), 60);
        assert_eq!((per_second[58], per_second[0], per_second.iter().sum::<u64>()), (1, 1, 4));
    }

    #[test]
    fn latency_is_measured_whichever_comes_first() {
        let mut stream = Stream::default();
        stream.event("a", NOW_MS - 40, NOW_MS - 35);
        stream.score("a", NOW_MS - 10);
        stream.score("b", NOW_MS - 5);
        stream.event("b", NOW_MS - 25, NOW_MS);
        stream.score("", NOW_MS);
        stream.score("never seen", NOW_MS);
        let figures = stream.figures(NOW_MS);
        assert_eq!(figures["latency_ms"], json!({ "p50": 20, "p99": 30, "samples": 2 }));
        assert_eq!(stream.figures(NOW_MS + 60_001)["latency_ms"], json!({ "p50": null, "p99": null, "samples": 0 }));
    }

    #[test]
    fn nothing_grows_without_bound() {
        let mut stream = Stream::default();
        for n in 0..40_000 {
            stream.event(&n.to_string(), NOW_MS + n, NOW_MS + n);
            stream.score(&format!("other {n}"), NOW_MS + n);
            stream.score(&n.to_string(), NOW_MS + n);
        }
        assert!(stream.seconds.len() <= 120 && stream.samples.len() <= MAX_SAMPLES);
        assert!(stream.received.times.len() <= MAX_WAITING && stream.scored.order.len() <= MAX_WAITING);
    }

    #[test]
    fn quantiles_are_nearest_ranks() {
        let hundred: Vec<i64> = (1..=100).collect();
        assert_eq!((quantile(&hundred, 50), quantile(&hundred, 99), quantile(&[], 50)), (Some(50), Some(99), None));
        assert_eq!(quantile(&[7], 99), Some(7));
    }
}
