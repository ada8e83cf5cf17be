//! Ingest and profile in one thread, with a scorer that notes what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use millstream_ingest::{IngestConfig, IngestFactory, IngestStage, IngestTopics, OUT_EVENTS as INGESTED};
use millstream_profile::factory::{OUT_EVENTS, OUT_PROPENSITY, OUT_SESSIONS};
use millstream_profile::{ProfileConfig, ProfileFactory, ProfileStage, ProfileTopics};
use millstream_runtime::{Outputs, Stage};
use millstream_schemas::{Collected, Event, Id, Propensity, Session, frame};
use millstream_scoring::{Features, Reasons, Role, SCHEMA_HASH, Score, Scorer};
use millstream_transports::{RecordRef, Retention, TopicSpec};

/// What a score was made from, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What the scorer saw.
    pub features: Features,
    /// The session.
    pub session: Id,
    /// Its source.
    pub source: Id,
    /// Id of the event that caused it.
    pub event_id: String,
    /// Its time, milliseconds UTC.
    pub event_time_ms: i64,
}

/// Who is told what the stages did.
pub trait Watcher {
    /// An event on its way into profile; `false` holds it back, as if the shop had never sent it.
    fn event(&mut self, event: &Event<'_>) -> bool;
    /// A score was asked for.
    fn decision(&mut self, decision: Decision);
    /// A revision of a session.
    fn session(&mut self, session: &Session<'_>);
}

/// Notes features and scores nothing.
#[derive(Debug, Default)]
struct Recorder {
    asked: Mutex<VecDeque<Features>>,
}

impl Recorder {
    fn next(&self) -> Option<Features> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

impl Scorer for Recorder {
    fn model(&self) -> &str {
        "recorder"
    }

    fn version(&self) -> &str {
        "0"
    }

    fn calibration_version(&self) -> &str {
        "none"
    }

    fn role(&self) -> Role {
        Role::Fallback
    }

    fn schema_hash(&self) -> u128 {
        SCHEMA_HASH
    }

    fn score(&self, features: &Features) -> Score {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push_back(*features);
        Score { p_raw: 0.0, p: 0.0, within_7_days: None, reasons: Reasons::default() }
    }
}

/// Both stages over one partition.
#[derive(Debug)]
pub struct Stages {
    ingest: IngestStage,
    profile: ProfileStage,
    recorder: Arc<Recorder>,
    ingested: Outputs,
    profiled: Outputs,
    /// Records on their way to profile: time of their append and value.
    queue: VecDeque<(i64, Vec<u8>)>,
    offsets: [u64; 2],
}

/// Records between commits, so that the undo log stays small.
const COMMIT_EVERY: u64 = 1_000;

fn spec(name: &str) -> TopicSpec {
    TopicSpec { name: name.to_owned(), partitions: 1, retention: Retention::Forever }
}

impl Default for Stages {
    fn default() -> Self {
        Self::new()
    }
}

impl Stages {
    /// Stages with empty state and default settings.
    pub fn new() -> Self {
        let recorder = Arc::new(Recorder::default());
        let ingest = IngestFactory::new(IngestConfig::new(IngestTopics {
            collected: spec("events.collected"),
            events: spec("events"),
            rejected: spec("events.rejected"),
            identity: spec("identity"),
            ledger: spec("ledger"),
        }));
        let topics = ProfileTopics::of(spec);
        let profile = ProfileFactory::new(ProfileConfig { scorer: recorder.clone(), ..ProfileConfig::new(topics) });
        Self {
            ingest: ingest.stage(0),
            profile: profile.stage(0),
            recorder,
            ingested: Outputs::new(),
            profiled: Outputs::new(),
            queue: VecDeque::new(),
            offsets: [0; 2],
        }
    }

    /// Takes in one event as the collector appends it.
    pub fn collect(&mut self, collected: &Collected<'_>, watcher: &mut impl Watcher) {
        let mut value = Vec::new();
        collected.encode_framed(Collected::ID, &mut value);
        let record = RecordRef {
            topic: 0,
            partition: 0,
            offset: self.offsets[0],
            timestamp_ms: collected.received_at,
            key: &[],
            value: &value,
        };
        self.offsets[0] += 1;
        self.ingest.on_record(record, &mut self.ingested);
        let events = self.ingested.iter().filter(|output| output.topic == INGESTED);
        self.queue.extend(events.map(|output| (output.timestamp_ms, output.value.to_vec())));
        self.ingested.clear();
        self.profile(watcher);
        if self.offsets[0].is_multiple_of(COMMIT_EVERY) {
            self.ingest.commit_epoch();
            self.profile.commit_epoch();
        }
    }

    /// Takes in one event as ingest writes it.
    pub fn event(&mut self, event: &Event<'_>, watcher: &mut impl Watcher) {
        let mut value = Vec::new();
        event.encode_framed(Event::ID, &mut value);
        self.queue.push_back((event.received_at, value));
        self.profile(watcher);
        if self.offsets[1].is_multiple_of(COMMIT_EVERY) {
            self.profile.commit_epoch();
        }
    }

    /// Lets profile read what is there, and what it writes back.
    fn profile(&mut self, watcher: &mut impl Watcher) {
        while let Some((timestamp_ms, value)) = self.queue.pop_front() {
            if let Some(event) = body(&value, Event::ID).and_then(|body| Event::decode(body).ok())
                && !watcher.event(&event)
            {
                continue;
            }
            let record =
                RecordRef { topic: 0, partition: 0, offset: self.offsets[1], timestamp_ms, key: &[], value: &value };
            self.offsets[1] += 1;
            self.profile.on_record(record, &mut self.profiled);
            for output in self.profiled.iter() {
                match output.topic {
                    OUT_EVENTS => self.queue.push_back((output.timestamp_ms, output.value.to_vec())),
                    OUT_SESSIONS => {
                        if let Some(row) = body(output.value, Session::ID).and_then(|body| Session::decode(body).ok()) {
                            watcher.session(&row);
                        }
                    }
                    OUT_PROPENSITY => {
                        let row = body(output.value, Propensity::ID).and_then(|body| Propensity::decode(body).ok());
                        // A score was asked for by each record, in their order.
                        let (Some(row), Some(features)) = (row, self.recorder.next()) else { continue };
                        if !row.retracted {
                            watcher.decision(Decision {
                                features,
                                session: row.session_id,
                                source: row.source,
                                event_id: row.source_event.to_owned(),
                                event_time_ms: row.event_time,
                            });
                        }
                    }
                    _ => {}
                }
            }
            self.profiled.clear();
        }
    }
}

fn body(value: &[u8], schema: u32) -> Option<&[u8]> {
    frame::split(value).ok().filter(|(id, _)| *id == schema).map(|(_, body)| body)
}
