//! The client: sends events in batches as the collector would append them, sends again what was not acknowledged, and keeps its own
//! list of what was.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_runtime::Clock;
use millstream_schemas::Collected;
use millstream_schemas::input::parse_envelope;
use millstream_schemas::input_key::input_key;
use millstream_transports::memory::MemoryLog;
use millstream_transports::{Append, Transport, partition_for};
use parking_lot::Mutex;

use crate::clock::HeldClock;
use crate::plan::SITE;
use crate::traffic::Sent;

/// How long the client waits for an answer.
const ANSWER_MS: i64 = 700;
/// Events of a batch at most.
pub const BATCH_MAX: u64 = 4;

/// A batch that was sent and not answered.
struct Waiting {
    events: Vec<usize>,
    since_ms: i64,
    /// The life of the log that it was sent to: when that ends, nobody will answer.
    life: u64,
}

/// Numbers of batches with their answers.
type Answers = Arc<Mutex<Vec<(u64, bool)>>>;

/// The client.
#[derive(Default)]
pub struct Client {
    /// Every event ever made, with whether it was acknowledged.
    pub events: Vec<(Sent, bool)>,
    again: Vec<usize>,
    waiting: BTreeMap<u64, Waiting>,
    batches: u64,
    answers: Answers,
}

impl Client {
    /// Takes an event in, to be sent with the next batch.
    pub fn add(&mut self, sent: Sent) {
        self.again.push(self.events.len());
        self.events.push((sent, false));
    }

    /// Has an acknowledged event sent once more.
    pub fn repeat(&mut self, event: usize) {
        self.again.push(event);
    }

    /// Sends what is to be sent. Returns whether there was anything.
    pub fn send(&mut self, log: &MemoryLog, life: u64, partitions: u32, clock: &HeldClock, early: bool) -> bool {
        if self.again.is_empty() {
            return false;
        }
        let events = std::mem::take(&mut self.again);
        let now_ms = clock.now_ms();
        let mut records: Vec<(u32, Vec<u8>, Vec<u8>)> = Vec::with_capacity(events.len());
        for &event in &events {
            let Some((sent, _)) = self.events.get(event) else { continue };
            let Ok(envelope) = parse_envelope(&sent.json) else { continue };
            let mut key = Vec::new();
            input_key(SITE, envelope.identity(), &mut key);
            let mut value = Vec::new();
            let collected = Collected {
                site: SITE,
                origin: "http",
                received_at: now_ms,
                sent_at: sent.clock_off_ms.map(|off_ms| now_ms + off_ms),
                payload: &sent.json,
                ..Collected::default()
            };
            collected.encode_framed(Collected::ID, &mut value);
            records.push((partition_for(&key, partitions), key, value));
        }
        let batch = self.batches;
        self.batches += 1;
        let appends: Vec<Append<'_>> = records
            .iter()
            .map(|(partition, key, value)| Append { topic: 0, partition: *partition, timestamp_ms: now_ms, key, value })
            .collect();
        self.waiting.insert(batch, Waiting { events, since_ms: clock.monotonic_ms(), life });
        let answers = Arc::clone(&self.answers);
        let done =
            Box::new(move |result: millstream_transports::Result<()>| answers.lock().push((batch, result.is_ok())));
        let appended =
            log.appender(vec![Collected::TOPIC.to_owned()]).and_then(|appender| appender.append(&appends, done));
        if early || appended.is_err() {
            self.answers.lock().push((batch, early));
        }
        true
    }

    /// Takes the answers in; what failed, what was not answered in time and what went down with the log is sent again. Returns how
    /// many batches went down.
    pub fn listen(&mut self, life: u64, now_ms: i64) -> u64 {
        for (batch, acknowledged) in std::mem::take(&mut *self.answers.lock()) {
            let Some(waiting) = self.waiting.remove(&batch) else { continue };
            for event in waiting.events {
                match self.events.get_mut(event) {
                    Some((_, known)) if acknowledged => *known = true,
                    _ => self.again.push(event),
                }
            }
        }
        let over = |waiting: &Waiting| waiting.life != life || now_ms - waiting.since_ms > ANSWER_MS;
        let lost: Vec<u64> =
            self.waiting.iter().filter(|(_, waiting)| over(waiting)).map(|(batch, _)| *batch).collect();
        let mut down = 0;
        for batch in lost {
            let Some(waiting) = self.waiting.remove(&batch) else { continue };
            down += u64::from(waiting.life != life);
            self.again.extend(waiting.events);
        }
        down
    }

    /// Whether every event was acknowledged.
    pub fn is_content(&self) -> bool {
        self.again.is_empty() && self.waiting.is_empty() && self.events.iter().all(|(_, acknowledged)| *acknowledged)
    }
}
