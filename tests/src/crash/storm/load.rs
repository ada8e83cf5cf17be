//! Open-loop load: requests go out when they are due, whatever became of those before, and a list of what was acknowledged.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use millstream_simulator::{RequestWriter, SimConfig, Simulator};
use serde_json::Value;

/// Connections at a time. More than a collector that waits for its log holds back in a second.
const SENDERS: usize = 24;
/// Most events of a request.
const REQUEST_EVENTS: usize = 10;
/// Before a request without an answer is sent again.
const AGAIN_AFTER: Duration = Duration::from_millis(300);
/// After so long a request counts as not answered; less than the collector's own limit, so that answers do get lost.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
/// Requests that may wait; beyond it the load is no open loop any more, and the run says so.
const MOST_WAITING: usize = 50_000;

/// What to play.
#[derive(Debug, Clone)]
pub struct Load {
    /// Events a second.
    pub events_per_second: u32,
    /// Visitors of the simulated shop.
    pub people: u32,
    /// Seed of the shop.
    pub seed: u64,
}

/// What the client knows of its own: independent of everything that it sends to.
#[derive(Debug, Default, Clone)]
pub struct Known {
    /// How often each event's acceptance was read.
    pub acknowledged: BTreeMap<String, u32>,
    /// Requests sent again because no answer came, or one that asks for it.
    pub sent_again: u64,
    /// Requests that were refused for good (bad input).
    pub refused: u64,
    /// Requests that found the queue full: then the load was not open-loop.
    pub held_back: u64,
    /// Events sent, each counted once.
    pub sent: u64,
}

#[derive(Debug)]
struct Request {
    due: Instant,
    number: u64,
    body: Arc<[u8]>,
}

impl Request {
    fn rank(&self) -> (Instant, u64) {
        (self.due, self.number)
    }
}

impl PartialEq for Request {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Request {}

impl PartialOrd for Request {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Request {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

#[derive(Debug, Default)]
struct Queue {
    waiting: BinaryHeap<Reverse<Request>>,
    under_way: usize,
    /// Nothing new is made any more.
    is_ending: bool,
    /// Senders end, whatever waits.
    is_over: bool,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    known: Mutex<Known>,
}

/// A running load; senders end with the value.
#[derive(Debug)]
pub struct Client {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Client {
    /// Starts to send to the collector at `url` as the holder of `key`.
    pub fn start(load: &Load, url: &str, key: &str) -> Self {
        let shared = Arc::new(Shared::default());
        let mut threads = Vec::new();
        let (maker, load) = (Arc::clone(&shared), load.clone());
        threads.push(std::thread::spawn(move || maker.make(&load)));
        for _ in 0..SENDERS {
            let (shared, url, key) = (Arc::clone(&shared), format!("{url}/v1/events"), format!("Bearer {key}"));
            threads.push(std::thread::spawn(move || shared.send(&url, &key)));
        }
        Self { shared, threads }
    }

    /// Events acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.shared.known.lock().unwrap().acknowledged.len()
    }

    /// Makes no new requests and waits until every one has its answer.
    ///
    /// # Errors
    /// With how many have none after `patience`.
    pub fn finish(mut self, patience: Duration) -> Result<Known, String> {
        let mut queue = self.shared.queue.lock().unwrap();
        queue.is_ending = true;
        let started = Instant::now();
        while !queue.waiting.is_empty() || queue.under_way > 0 {
            if started.elapsed() > patience {
                return Err(format!("{} requests have no answer", queue.waiting.len() + queue.under_way));
            }
            queue = self.shared.changed.wait_timeout(queue, Duration::from_millis(100)).unwrap().0;
        }
        drop(queue);
        self.end();
        Ok(self.shared.known.lock().unwrap().clone())
    }

    fn end(&mut self) {
        {
            let mut queue = self.shared.queue.lock().unwrap();
            queue.is_ending = true;
            queue.is_over = true;
        }
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            let _ended = thread.join();
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    /// Makes requests and queues each when it is due.
    fn make(&self, load: &Load) {
        let config =
            SimConfig { people: load.people, days: 3_650, seed: load.seed, keep_truth: false, ..SimConfig::default() };
        let simulator = Simulator::new(config).unwrap();
        let mut writer = RequestWriter::new(REQUEST_EVENTS);
        let started = Instant::now();
        let (mut events, mut number) = (0u64, 0u64);
        for delivery in simulator {
            // Without an id of its own an event that is sent twice counts twice, by design: senders that retry give ids.
            if !delivery.json.starts_with(b"{\"id\":") {
                continue;
            }
            let mut due = Vec::new();
            let Ok(()) = writer.push(&delivery, &mut |request| {
                due.push(request);
                Ok::<(), std::convert::Infallible>(())
            });
            for request in due {
                events += request.events as u64;
                let at = started + Duration::from_micros(events * 1_000_000 / u64::from(load.events_per_second));
                std::thread::sleep(at.saturating_duration_since(Instant::now()));
                let mut queue = self.queue.lock().unwrap();
                if queue.is_ending {
                    return;
                }
                let is_full = queue.waiting.len() >= MOST_WAITING;
                if !is_full {
                    number += 1;
                    queue.waiting.push(Reverse(Request { due: at, number, body: request.body.into() }));
                }
                drop(queue);
                let mut known = self.known.lock().unwrap();
                known.held_back += u64::from(is_full);
                known.sent += if is_full { 0 } else { request.events as u64 };
                drop(known);
                self.changed.notify_one();
            }
        }
    }

    /// The next request that is due; `None` at the end.
    fn next(&self) -> Option<Request> {
        let mut queue = self.queue.lock().unwrap();
        loop {
            if queue.is_over {
                return None;
            }
            let now = Instant::now();
            let wait = match queue.waiting.peek() {
                Some(Reverse(request)) if request.due <= now => {
                    queue.under_way += 1;
                    return queue.waiting.pop().map(|Reverse(request)| request);
                }
                Some(Reverse(request)) => request.due - now,
                None => Duration::from_millis(100),
            };
            queue = self.changed.wait_timeout(queue, wait).unwrap().0;
        }
    }

    fn send(&self, url: &str, authorization: &str) {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(ANSWER_WITHIN))
            .build()
            .into();
        while let Some(request) = self.next() {
            let answer = agent.post(url).header("authorization", authorization).send(&request.body[..]).ok().and_then(
                |mut response| Some((response.status().as_u16(), response.body_mut().read_to_string().ok()?)),
            );
            let is_final = self.note(answer.as_ref());
            let mut queue = self.queue.lock().unwrap();
            queue.under_way -= 1;
            if !is_final {
                queue.waiting.push(Reverse(Request { due: Instant::now() + AGAIN_AFTER, ..request }));
            }
            drop(queue);
            self.changed.notify_all();
        }
    }

    /// Notes an answer; false where the request must be sent again.
    fn note(&self, answer: Option<&(u16, String)>) -> bool {
        let mut known = self.known.lock().unwrap();
        let body = match answer {
            Some((200, text)) => serde_json::from_str::<Value>(text).ok(),
            // Of bad input: it will be no better the next time.
            Some((400 | 413 | 422, _)) => {
                known.refused += 1;
                return true;
            }
            _ => None,
        };
        let Some(body) = body else {
            known.sent_again += 1;
            return false;
        };
        for event in body["events"].as_array().into_iter().flatten() {
            if let (Some("accepted"), Some(id)) = (event["status"].as_str(), event["id"].as_str()) {
                *known.acknowledged.entry(id.to_owned()).or_default() += 1;
            }
        }
        true
    }
}
