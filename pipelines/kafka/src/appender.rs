//! Acknowledged appends outside transactions: units of records with one acknowledgement each, and a queue bounded in bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use millstream_transports::{Acknowledge, Append, Appender, Result, TransportError};
use parking_lot::{Mutex, RwLock};
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};

use crate::config::KafkaConfig;
use crate::errors::{Meaning, describe, meaning};
use crate::events::{ErrorLog, keeps_errors};
use crate::settings;
use crate::transactional::record;

/// What a queued record costs besides its key and value.
const RECORD_OVERHEAD_BYTES: usize = 128;
/// Records that may wait, below librdkafka's own limit, so that ours is met first and refuses whole units.
const MAX_RECORDS: usize = 900_000;
/// How long a close waits for what is queued.
const DRAIN: Duration = Duration::from_secs(10);
/// How often the polling thread looks whether it should stop.
const TICK: Duration = Duration::from_millis(100);

/// What is queued and not yet durable.
#[derive(Debug, Default)]
struct Queued {
    bytes: AtomicUsize,
    records: AtomicUsize,
}

/// Some records that are acknowledged together.
pub struct Unit {
    open: AtomicUsize,
    bytes: usize,
    records: usize,
    error: Mutex<Option<KafkaError>>,
    done: Mutex<Option<Acknowledge>>,
    queued: Arc<Queued>,
    errors: ErrorLog,
}

impl Unit {
    /// Counts one record off; the last one calls `done`.
    fn settle(&self, error: Option<KafkaError>) {
        if let Some(error) = error {
            self.error.lock().get_or_insert(error);
        }
        if self.open.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        self.queued.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        self.queued.records.fetch_sub(self.records, Ordering::AcqRel);
        let result = match self.error.lock().take() {
            None => Ok(()),
            Some(error) => Err(failure(&error, &self.errors)),
        };
        if let Some(done) = self.done.lock().take() {
            done(result);
        }
    }
}

/// An append that failed can be repeated unless the record itself is the reason.
fn failure(error: &KafkaError, errors: &ErrorLog) -> TransportError {
    let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
    let lost = matches!(code, Code::PurgeQueue | Code::PurgeInflight | Code::Fatal);
    if lost || meaning(code) == Meaning::Transient {
        let background =
            errors.explanation().map(|reason| format!("; the client reports: {reason}")).unwrap_or_default();
        return TransportError::Unavailable(format!("appending: {error}{background}"));
    }
    describe("appending", error, errors.explanation())
}

/// The producer's callbacks.
#[derive(Default)]
pub struct Deliveries {
    errors: ErrorLog,
}

keeps_errors!(Deliveries);

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Unit>;

    fn delivery(&self, result: &DeliveryResult<'_>, unit: Arc<Unit>) {
        unit.settle(result.as_ref().err().map(|(error, _)| error.clone()));
    }
}

/// A producer and the thread that polls it.
struct Running {
    producer: Arc<BaseProducer<Deliveries>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(config: &ClientConfig, errors: &ErrorLog) -> Result<Self> {
        let context = Deliveries { errors: errors.clone() };
        let producer: BaseProducer<Deliveries> = config
            .create_with_context(context)
            .map_err(|error| describe("starting the appending producer", &error, None))?;
        let producer = Arc::new(producer);
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let (producer, stop) = (Arc::clone(&producer), Arc::clone(&stop));
            std::thread::Builder::new()
                .name("kafka-appender".to_owned())
                .spawn(move || {
                    while !stop.load(Ordering::Acquire) {
                        producer.poll(TICK);
                    }
                    if let Err(error) = producer.flush(DRAIN) {
                        tracing::warn!(target: "kafka", %error, "records were still queued when the appender closed; they count as failed");
                    }
                })
                .map_err(|error| TransportError::Other(format!("starting the appender's thread: {error}")))?
        };
        Ok(Self { producer, stop, thread: Some(thread) })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A callback may hold the last handle, and then this runs on the polling thread itself.
            if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
                tracing::error!(target: "kafka", "the appender's polling thread panicked in an acknowledgement");
            }
        }
    }
}

/// [`Appender`] on Kafka.
pub struct KafkaAppender {
    config: ClientConfig,
    topics: Vec<String>,
    limit_bytes: usize,
    max_record_bytes: usize,
    queued: Arc<Queued>,
    errors: ErrorLog,
    running: RwLock<Running>,
}

impl KafkaAppender {
    /// Starts the producer.
    pub(crate) fn start(config: &KafkaConfig, topics: Vec<String>) -> Result<Self> {
        let client = settings::appender(config)?;
        let errors = ErrorLog::default();
        Ok(Self {
            running: RwLock::new(Running::start(&client, &errors)?),
            config: client,
            topics,
            limit_bytes: config.append_queue_bytes,
            max_record_bytes: settings::max_record_bytes(config),
            queued: Arc::default(),
            errors,
        })
    }

    fn reserve(&self, bytes: usize, records: usize) -> Result<()> {
        let full = || TransportError::QueueFull { queued_bytes: self.queued.bytes.load(Ordering::Acquire) };
        let add = |counter: &AtomicUsize, amount: usize, limit: usize| {
            counter
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
                    now.checked_add(amount).filter(|sum| *sum <= limit)
                })
                .is_ok()
        };
        if !add(&self.queued.bytes, bytes, self.limit_bytes) {
            return Err(full());
        }
        if !add(&self.queued.records, records, MAX_RECORDS) {
            self.queued.bytes.fetch_sub(bytes, Ordering::AcqRel);
            return Err(full());
        }
        Ok(())
    }

    /// Starts anew after an error that librdkafka cannot recover from.
    fn restart(&self) -> Result<()> {
        let failed = {
            let mut running = self.running.write();
            let Some((code, text)) = running.producer.client().fatal_error() else { return Ok(()) };
            tracing::warn!(target: "kafka", ?code, text, "the appending producer failed for good; a new one follows");
            std::mem::replace(&mut *running, Running::start(&self.config, &self.errors)?)
        };
        // Outside the lock: closing calls back for what was queued, and a callback may append.
        drop(failed);
        Ok(())
    }
}

impl Appender for KafkaAppender {
    fn append(&self, records: &[Append<'_>], done: Acknowledge) -> Result<()> {
        let mut bytes = 0_usize;
        for append in records {
            let size_bytes = append.key.len() + append.value.len();
            if size_bytes > self.max_record_bytes {
                return Err(TransportError::TooLarge { size_bytes, limit_bytes: self.max_record_bytes });
            }
            if usize::from(append.topic) >= self.topics.len() {
                return Err(TransportError::Other(format!(
                    "topic {} was not declared; {} are",
                    append.topic,
                    self.topics.len()
                )));
            }
            bytes = bytes.saturating_add(size_bytes + RECORD_OVERHEAD_BYTES);
        }
        self.reserve(bytes, records.len())?;
        let unit = Arc::new(Unit {
            // One more than records, so that `done` is not called before all are queued.
            open: AtomicUsize::new(records.len() + 1),
            bytes,
            records: records.len(),
            error: Mutex::new(None),
            done: Mutex::new(Some(done)),
            queued: Arc::clone(&self.queued),
            errors: self.errors.clone(),
        });
        let mut fatal = false;
        {
            let running = self.running.read();
            for append in records {
                let plain = record(&self.topics[usize::from(append.topic)], append);
                let with_unit = BaseRecord {
                    topic: plain.topic,
                    partition: plain.partition,
                    payload: plain.payload,
                    key: plain.key,
                    timestamp: plain.timestamp,
                    headers: None,
                    delivery_opaque: Arc::clone(&unit),
                };
                if let Err((error, _)) = running.producer.send(with_unit) {
                    fatal |= error.rdkafka_error_code() == Some(Code::Fatal);
                    unit.settle(Some(error));
                }
            }
        }
        unit.settle(None);
        if fatal {
            // This unit has failed and may be repeated; the next one finds a new producer.
            self.restart()?;
        }
        Ok(())
    }

    fn queued_bytes(&self) -> usize {
        self.queued.bytes.load(Ordering::Acquire)
    }
}
