//! A transactional producer through its whole life: start, send, commit, abort, and a new start after what cannot be repaired.

use std::time::{Duration, Instant};

use millstream_transports::{Append, CommitOutcome, Result, Transactions, TransportError};
use rdkafka::TopicPartitionList;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::errors::{Meaning, describe, meaning};
use crate::events::{ErrorLog, Quiet};
use crate::native::{self, CommitError};

/// How long a start may take: the coordinator may have to wait until a predecessor's transaction is settled.
const START: Duration = Duration::from_secs(30);
/// How long one call into librdkafka may block before failed deliveries are served. Without serving them a fenced producer's flush
/// waits for its whole time-out.
const SLICE: Duration = Duration::from_millis(200);
/// After this long without an answer the outcome of a commit counts as unknown.
const COMMIT: Duration = Duration::from_secs(15);
/// How long an abort may take, and the drain before it.
const ABORT: Duration = Duration::from_secs(15);
const DRAIN: Duration = Duration::from_secs(5);
/// The same when the producer is dropped.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long a send may wait for room in the queue.
const ROOM: Duration = Duration::from_secs(30);
/// Background events are served after this many records.
const SERVE_EVERY: u32 = 1024;

/// Offsets to commit with a transaction, on behalf of a member of a group.
pub(crate) struct GroupOffsets<'a> {
    pub(crate) offsets: &'a TopicPartitionList,
    pub(crate) group: &'a ConsumerGroupMetadata,
}

/// A producer with a transactional id. A second one with the same id fences the first.
pub struct TransactionalProducer {
    config: ClientConfig,
    id: String,
    topics: Vec<String>,
    max_record_bytes: usize,
    /// Absent after a fatal error, until a start succeeds.
    producer: Option<BaseProducer<Quiet>>,
    errors: ErrorLog,
    open: bool,
    sent_since_serving: u32,
    taken_over: Option<String>,
}

impl TransactionalProducer {
    /// Starts a producer. When this returns, every earlier producer with this id is fenced and its transaction is settled.
    pub(crate) fn start(config: ClientConfig, id: &str, topics: Vec<String>, max_record_bytes: usize) -> Result<Self> {
        let mut new = Self {
            config,
            id: id.to_owned(),
            topics,
            max_record_bytes,
            producer: None,
            errors: ErrorLog::default(),
            open: false,
            sent_since_serving: 0,
            taken_over: None,
        };
        new.restart()?;
        Ok(new)
    }

    /// Replaces the producer by a new one with the same id, which settles the old one's transaction: completes it where its commit
    /// had reached the coordinator, else aborts it.
    pub(crate) fn restart(&mut self) -> Result<()> {
        self.open = false;
        // The old one goes first, so that it cannot fail on account of its successor.
        self.producer = None;
        let context = Quiet { errors: self.errors.clone() };
        let producer: BaseProducer<Quiet> = self
            .config
            .create_with_context(context)
            .map_err(|error| describe("starting a transactional producer", &error, None))?;
        let deadline = Instant::now() + START;
        loop {
            match producer.init_transactions(SLICE) {
                Ok(()) => break,
                Err(KafkaError::Transaction(error)) if error.is_retriable() && Instant::now() < deadline => {
                    producer.poll(Duration::ZERO)
                }
                Err(error) => {
                    producer.poll(Duration::ZERO);
                    let doing = format!("initialising transactional id {}", self.id);
                    return Err(describe(&doing, &error, self.errors.explanation()));
                }
            }
        }
        self.producer = Some(producer);
        Ok(())
    }

    /// Why this producer is finished, where another one has taken its id over.
    pub(crate) fn taken_over(&self) -> Option<&str> {
        self.taken_over.as_deref()
    }

    /// Whether a transaction is open.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Serves background events; cheap.
    pub(crate) fn serve(&self) {
        if let Some(producer) = &self.producer {
            producer.poll(Duration::ZERO);
        }
    }

    fn begin(&mut self) -> Result<()> {
        if let Some(reason) = &self.taken_over {
            return Err(TransportError::Fenced(reason.clone()));
        }
        if self.open && self.producer.is_some() {
            return Ok(());
        }
        if self.producer.is_none() {
            self.restart()?;
        }
        let begun = self.with(|producer| producer.begin_transaction())?;
        if let Err(error) = begun {
            let failed = self.note_fatal(&error);
            if matches!(failed, TransportError::Fenced(_)) {
                return Err(failed);
            }
            self.restart()?;
            self.with(|producer| producer.begin_transaction())?.map_err(|error| self.note_fatal(&error))?;
        }
        self.open = true;
        Ok(())
    }

    fn with<T>(&self, call: impl FnOnce(&BaseProducer<Quiet>) -> T) -> Result<T> {
        match &self.producer {
            Some(producer) => Ok(call(producer)),
            None => Err(TransportError::Unavailable(format!("transactional id {} has no producer", self.id))),
        }
    }

    /// Remembers a take-over; any other fatal error retires the producer. Returns the error for the caller.
    fn note_fatal(&mut self, error: &KafkaError) -> TransportError {
        let fatal = match error {
            KafkaError::Transaction(error) if error.is_fatal() => Some((error.code(), error.string())),
            _ => self.producer.as_ref().and_then(|producer| producer.client().fatal_error()),
        };
        let Some((code, text)) = fatal else {
            return describe(&format!("transaction of {}", self.id), error, None);
        };
        if meaning(code) == Meaning::TakenOver {
            let reason = format!("transactional id {}: {text}", self.id);
            self.taken_over = Some(reason.clone());
            return TransportError::Fenced(reason);
        }
        tracing::warn!(target: "kafka", id = %self.id, ?code, text, "the transactional producer failed for good; a new one follows");
        self.producer = None;
        TransportError::Other(format!("transactional id {}: {text}", self.id))
    }

    /// Adds a record to the open transaction; opens one where none is.
    pub(crate) fn send(&mut self, append: &Append<'_>) -> Result<()> {
        let size_bytes = append.key.len() + append.value.len();
        if size_bytes > self.max_record_bytes {
            return Err(TransportError::TooLarge { size_bytes, limit_bytes: self.max_record_bytes });
        }
        self.begin()?;
        let Some(topic) = self.topics.get(usize::from(append.topic)) else {
            return Err(TransportError::Other(format!(
                "output {} was not declared; {} are",
                append.topic,
                self.topics.len()
            )));
        };
        let Some(producer) = &self.producer else {
            return Err(TransportError::Unavailable(format!("transactional id {} has no producer", self.id)));
        };
        let mut record = record(topic, append);
        let mut deadline = None;
        let failed = loop {
            match producer.send(record) {
                Ok(()) => break None,
                Err((KafkaError::MessageProduction(Code::QueueFull), back)) => {
                    // Deliveries make room by themselves; waiting here is the back-pressure.
                    record = back;
                    producer.poll(Duration::from_millis(1));
                    if Instant::now() > *deadline.get_or_insert_with(|| Instant::now() + ROOM) {
                        break Some(KafkaError::MessageProduction(Code::OperationTimedOut));
                    }
                }
                Err((error, _)) => break Some(error),
            }
        };
        if let Some(error) = failed {
            return Err(match error.rdkafka_error_code() {
                Some(Code::UnknownTopic | Code::UnknownTopicOrPartition) => TransportError::UnknownTopic(topic.clone()),
                Some(Code::UnknownPartition) => {
                    TransportError::Other(format!("{topic} has no partition {}", append.partition))
                }
                Some(Code::MessageSizeTooLarge) => {
                    TransportError::TooLarge { size_bytes, limit_bytes: self.max_record_bytes }
                }
                _ => self.note_fatal(&error),
            });
        }
        self.sent_since_serving += 1;
        if self.sent_since_serving >= SERVE_EVERY {
            self.sent_since_serving = 0;
            producer.poll(Duration::ZERO);
        }
        Ok(())
    }

    /// Commits the open transaction, with the group's offsets where given. On every other outcome than a commit the transaction has
    /// been closed or given up; only [`CommitOutcome::Unknown`] needs a [`TransactionalProducer::restart`] before the next.
    pub(crate) fn commit(&mut self, offsets: Option<GroupOffsets<'_>>) -> CommitOutcome {
        if !self.open && offsets.is_none() && self.taken_over.is_none() {
            return CommitOutcome::Committed;
        }
        match self.begin() {
            Ok(()) => {}
            Err(TransportError::Fenced(reason)) => return CommitOutcome::Fenced(reason),
            Err(error) => return CommitOutcome::Aborted(error.to_string()),
        }
        let deadline = Instant::now() + COMMIT;
        if let Some(offsets) = offsets
            && let Err(outcome) = self.add_offsets(&offsets, deadline)
        {
            return outcome;
        }
        loop {
            let Some(producer) = &self.producer else {
                self.open = false;
                return CommitOutcome::Aborted(format!("transactional id {} has no producer", self.id));
            };
            match native::commit_transaction(producer, SLICE) {
                Ok(()) => {
                    self.open = false;
                    return CommitOutcome::Committed;
                }
                Err(error) if error.retriable && Instant::now() < deadline => producer.poll(Duration::ZERO),
                Err(error) => return self.failed_commit(error),
            }
        }
    }

    fn failed_commit(&mut self, error: CommitError) -> CommitOutcome {
        let reason = format!("transactional id {}: {}", self.id, error.text);
        if error.fatal && meaning(error.code) == Meaning::TakenOver {
            self.open = false;
            self.taken_over = Some(reason.clone());
            return CommitOutcome::Fenced(reason);
        }
        if error.requires_abort {
            return self.abort_as(CommitOutcome::Aborted(reason));
        }
        // The request to end the transaction may or may not have arrived. This producer must not touch the transaction any more: its
        // successor settles it.
        self.open = false;
        self.producer = None;
        CommitOutcome::Unknown(reason)
    }

    fn add_offsets(&mut self, offsets: &GroupOffsets<'_>, deadline: Instant) -> std::result::Result<(), CommitOutcome> {
        loop {
            let Some(producer) = &self.producer else {
                self.open = false;
                return Err(CommitOutcome::Aborted(format!("transactional id {} has no producer", self.id)));
            };
            match producer.send_offsets_to_transaction(offsets.offsets, offsets.group, SLICE) {
                Ok(()) => return Ok(()),
                Err(KafkaError::Transaction(error)) if error.is_retriable() && Instant::now() < deadline => {
                    producer.poll(Duration::ZERO)
                }
                Err(KafkaError::Transaction(error)) => return Err(self.failed_offsets(&error)),
                Err(error) => return Err(self.abort_as(CommitOutcome::Aborted(error.to_string()))),
            }
        }
    }

    /// Nothing was committed yet, so every outcome here is certain.
    fn failed_offsets(&mut self, error: &RDKafkaError) -> CommitOutcome {
        let reason = format!("transactional id {}: {}", self.id, error.string());
        match meaning(error.code()) {
            Meaning::TakenOver => {
                if !error.is_fatal() {
                    let _ = self.abort();
                }
                self.open = false;
                self.taken_over = Some(reason.clone());
                CommitOutcome::Fenced(reason)
            }
            Meaning::StaleGroup => self.abort_as(CommitOutcome::Fenced(reason)),
            _ => self.abort_as(CommitOutcome::Aborted(reason)),
        }
    }

    /// Aborts, and reports `outcome` unless the abort finds out worse.
    fn abort_as(&mut self, outcome: CommitOutcome) -> CommitOutcome {
        match self.abort() {
            Ok(()) => outcome,
            Err(TransportError::Fenced(reason)) => CommitOutcome::Fenced(reason),
            // The transaction has no end marker and never gets a committing one: the next start or the time-out aborts it.
            Err(error) => {
                tracing::warn!(target: "kafka", id = %self.id, %error, "the abort did not get through; the next start completes it");
                outcome
            }
        }
    }

    /// Aborts the open transaction.
    pub(crate) fn abort(&mut self) -> Result<()> {
        if !self.open {
            return Ok(());
        }
        self.open = false;
        let Some(producer) = &self.producer else {
            return self.restart();
        };
        let Err(error) = drain_and_abort(producer, DRAIN, ABORT) else { return Ok(()) };
        let failed = self.note_fatal(&error);
        if matches!(failed, TransportError::Fenced(_)) {
            return Err(failed);
        }
        // A new producer's start aborts what its predecessor left open.
        self.restart()
    }
}

/// What was sent is drained first: an abort with unsent messages is fatal in librdkafka.
fn drain_and_abort(producer: &BaseProducer<Quiet>, drain: Duration, abort: Duration) -> KafkaResult<()> {
    let deadline = Instant::now() + drain;
    while producer.in_flight_count() > 0 && producer.client().fatal_error().is_none() && Instant::now() < deadline {
        producer.poll(Duration::from_millis(1));
    }
    let deadline = Instant::now() + abort;
    loop {
        match producer.abort_transaction(SLICE) {
            Err(KafkaError::Transaction(error)) if error.is_retriable() && Instant::now() < deadline => {
                producer.poll(Duration::ZERO);
            }
            result => return result,
        }
    }
}

/// A record for librdkafka, which takes a time of 0 for "now" (the broker refuses negative ones): the least time is 1 ms. Empty keys and values become null: a null value is what compaction takes for a tombstone.
pub(crate) fn record<'a>(topic: &'a str, append: &Append<'a>) -> BaseRecord<'a, [u8], [u8]> {
    let mut record = BaseRecord::to(topic)
        .partition(i32::try_from(append.partition).unwrap_or(i32::MAX))
        .timestamp(append.timestamp_ms.max(1));
    if !append.key.is_empty() {
        record = record.key(append.key);
    }
    if !append.value.is_empty() {
        record = record.payload(append.value);
    }
    record
}

impl Transactions for TransactionalProducer {
    fn send(&mut self, append: Append<'_>) -> Result<()> {
        TransactionalProducer::send(self, &append)
    }

    fn commit(&mut self) -> CommitOutcome {
        let outcome = TransactionalProducer::commit(self, None);
        if matches!(outcome, CommitOutcome::Unknown(_)) {
            // The next begin starts anew, which settles this one.
            tracing::warn!(target: "kafka", id = %self.id, "the outcome of a transaction without input is unknown");
        }
        outcome
    }

    fn abort(&mut self) -> Result<()> {
        TransactionalProducer::abort(self)
    }
}

impl Drop for TransactionalProducer {
    fn drop(&mut self) {
        if let (true, Some(producer)) = (self.open, &self.producer) {
            // Readers of committed records would wait for the time-out otherwise. Nobody waits long for a broker that is gone.
            if let Err(error) = drain_and_abort(producer, FAREWELL, FAREWELL) {
                tracing::debug!(target: "kafka", id = %self.id, %error, "a transaction was left to its time-out");
            }
        }
    }
}
