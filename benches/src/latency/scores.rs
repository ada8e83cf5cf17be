//! Reads committed scores and notes when each event's first one came.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use millstream_kafka::{KafkaConfig, KafkaTransport};
use millstream_schemas::{Propensity, frame};
use millstream_transports::{Batch, Transport};

use crate::sending::Sent;

/// When each event's score was seen.
#[derive(Clone, Default)]
pub struct ScoreLog {
    seen: Arc<Mutex<HashMap<String, Instant>>>,
}

impl ScoreLog {
    /// Follows every partition of `topic`, a thread each, `read_committed`.
    pub fn follow(brokers: &str, topic: &str) -> Self {
        let log = Self::default();
        let config = KafkaConfig { development: true, ..KafkaConfig::new(brokers) };
        let transport: Arc<dyn Transport> =
            Arc::new(KafkaTransport::new(config).expect("the broker's address is well-formed"));
        for partition in 0..transport.partition_count(topic).expect("the topic exists") {
            let (seen, transport, topic) = (Arc::clone(&log.seen), Arc::clone(&transport), topic.to_owned());
            std::thread::spawn(move || {
                let mut reader = transport.reader(&topic, partition, 0).expect("the partition exists");
                let mut batch = Batch::new();
                loop {
                    reader.poll(Duration::from_millis(200), &mut batch).expect("the broker answers");
                    let now = Instant::now();
                    let mut seen = seen.lock().expect("no thread panics with it");
                    for record in batch.iter() {
                        let (_, body) = frame::split(record.value).expect("a frame");
                        let score = Propensity::decode(body).expect("a score");
                        seen.entry(score.source_event.to_owned()).or_insert(now);
                    }
                }
            });
        }
        log
    }

    /// Number of events scored so far.
    pub fn len(&self) -> usize {
        self.seen.lock().expect("no thread panics with it").len()
    }

    /// Waits until all informative events of `sent` are scored; how many are not after `patience` without any news.
    pub fn wait_for(&self, sent: &Sent, patience: Duration) -> usize {
        let (mut missing, mut since) = (usize::MAX, Instant::now());
        loop {
            let seen = self.seen.lock().expect("no thread panics with it");
            let now_missing = sent.due.keys().filter(|id| !seen.contains_key(*id)).count();
            drop(seen);
            if now_missing == 0 || (now_missing == missing && since.elapsed() > patience) {
                return now_missing;
            }
            if now_missing != missing {
                (missing, since) = (now_missing, Instant::now());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// From the moment an event was due to its score, milliseconds.
    pub fn latencies_ms(&self, sent: &Sent) -> Vec<f64> {
        let seen = self.seen.lock().expect("no thread panics with it");
        let both = sent.due.iter().filter_map(|(id, due)| Some((due, seen.get(id)?)));
        both.map(|(due, seen)| seen.saturating_duration_since(*due).as_secs_f64() * 1_000.0).collect()
    }
}
