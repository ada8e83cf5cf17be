//! Appends a prepared import, transaction by transaction, from where the log says it stands.

use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use millstream_schemas::{Id, ImportProgress};
use millstream_transports::{Append, CommitOutcome, Transactions, Transport, TransportError, partition_for};
use tracing::{info, warn};

use crate::error::ImportError;
use crate::mapping::Mapping;
use crate::options::{ImportOptions, Phase, Progress};
use crate::prepare::{Plan, Prepared, prepare_plan};
use crate::progress::{self, SavedProgress, saved_progress};
use crate::read::OpenTable;
use crate::records;

/// Transactions in a row that may fail before the import gives up.
const ATTEMPTS: u32 = 5;
/// How often a full queue is tried again, and how long is waited before.
const QUEUE_ATTEMPTS: u32 = 100;
const QUEUE_WAIT: Duration = Duration::from_millis(50);

/// Indices into the topics of the transactions.
const COLLECTED: u16 = 0;
const REJECTED: u16 = 1;
const IMPORTS: u16 = 2;

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The data set.
    pub data_set: String,
    /// Of mapping, site and files.
    pub fingerprint: Id,
    /// Whether it had been imported before, so that nothing was done.
    pub already_imported: bool,
    /// Rows read; 0 where it had been imported before.
    pub rows: u64,
    /// Events of the whole import.
    pub events: u64,
    /// Rejected rows of the whole import.
    pub rejected: u64,
    /// Rows that a rule of the mapping left out; 0 where it had been imported before.
    pub skipped: u64,
    /// Events left out because an earlier one has the same id; 0 where it had been imported before.
    pub duplicates: u64,
    /// Events that an earlier run had appended.
    pub resumed_at_event: u64,
    /// Time of the first and of the last event, milliseconds since the epoch.
    pub span_ms: Option<(i64, i64)>,
}

/// Imports files as a mapping says: reads and maps all of them, then appends what is not yet in the log. Done before with the same
/// mapping and files, it does nothing. `open_table` opens Parquet files.
pub fn import(
    transport: &dyn Transport,
    mapping: &Mapping,
    paths: &[PathBuf],
    open_table: Option<&OpenTable<'_>>,
    options: &ImportOptions,
    report: &mut dyn FnMut(Progress),
) -> Result<Summary, ImportError> {
    let plan = Plan::new(mapping, paths, options)?;
    // A first look, so that nothing is read in vain; what counts is read again once other runners are fenced.
    if let Some(saved) = saved_progress(transport, &plan.data_set, options)? {
        check(&plan.data_set, plan.fingerprint, &saved)?;
        if saved.finished {
            return Ok(Summary {
                already_imported: true,
                rows: 0,
                events: saved.events_done,
                rejected: saved.rejected_done,
                skipped: 0,
                duplicates: 0,
                resumed_at_event: saved.events_done,
                span_ms: None,
                fingerprint: plan.fingerprint,
                data_set: plan.data_set,
            });
        }
    }
    let prepared = prepare_plan(plan, mapping, open_table, options, report)?;
    run(transport, &prepared, options, report)
}

/// Appends what of a prepared import is not yet in the log.
pub fn run(
    transport: &dyn Transport,
    prepared: &Prepared,
    options: &ImportOptions,
    report: &mut dyn FnMut(Progress),
) -> Result<Summary, ImportError> {
    let topics = &options.topics;
    let names = vec![topics.collected.clone(), topics.rejected.clone(), topics.imports.clone()];
    let mut writer = Writer {
        prepared,
        options,
        collected_partitions: transport.partition_count(&topics.collected)?,
        rejected_partitions: transport.partition_count(&topics.rejected)?,
        imports_partition: progress::partition(&prepared.data_set, transport.partition_count(&topics.imports)?),
        value: Vec::new(),
    };
    let mut first: Option<Position> = None;
    let (mut failures, mut last_failure) = (0, String::new());
    loop {
        if failures == ATTEMPTS {
            return Err(ImportError::NotCommitting {
                data_set: prepared.data_set.clone(),
                attempts: failures,
                detail: last_failure,
            });
        }
        // The topic's name has the namespace in it: the same data set may be imported into two of them on one cluster.
        // Opening fences every other runner and settles what the last transaction came to: only then does the log tell the truth.
        let mut transactions = transport
            .transactions(&format!("{}-{}", topics.imports, prepared.data_set), names.clone())
            .map_err(|error| fenced(prepared, error))?;
        let saved = saved_progress(transport, &prepared.data_set, options)?;
        if let Some(saved) = &saved {
            check(&prepared.data_set, prepared.fingerprint, saved)?;
        }
        let mut position = Position::of(saved.as_ref());
        let began = *first.get_or_insert(position);
        if position != Position::default() && first == Some(position) {
            info!(
                data_set = prepared.data_set,
                events = position.events,
                rejected = position.rejected,
                "resuming an import"
            );
        }
        while !position.finished {
            match writer.append_chunk(transactions.as_mut(), position)? {
                (CommitOutcome::Committed, next) => {
                    position = next;
                    failures = 0;
                    report(Progress {
                        phase: Phase::Writing,
                        done: position.events as u64,
                        total: prepared.events.len() as u64,
                        rejected: position.rejected as u64,
                    });
                }
                (CommitOutcome::Fenced(detail), _) => {
                    return Err(ImportError::Fenced { data_set: prepared.data_set.clone(), detail });
                }
                (CommitOutcome::Aborted(detail) | CommitOutcome::Unknown(detail), _) => {
                    warn!(
                        data_set = prepared.data_set,
                        detail, "a transaction did not commit for sure; asking the log"
                    );
                    failures += 1;
                    last_failure = detail;
                    break;
                }
            }
        }
        if position.finished {
            return Ok(summary(prepared, began));
        }
    }
}

fn summary(prepared: &Prepared, began: Position) -> Summary {
    let time = |event: Option<&crate::ImportedEvent>| event.map(|event| event.time_ms);
    Summary {
        data_set: prepared.data_set.clone(),
        fingerprint: prepared.fingerprint,
        already_imported: began.finished,
        rows: prepared.rows,
        events: prepared.events.len() as u64,
        rejected: prepared.rejected.len() as u64,
        skipped: prepared.skipped,
        duplicates: prepared.duplicates,
        resumed_at_event: began.events as u64,
        span_ms: time(prepared.events.first()).zip(time(prepared.events.last())),
    }
}

fn check(data_set: &str, fingerprint: Id, saved: &SavedProgress) -> Result<(), ImportError> {
    if saved.fingerprint == fingerprint {
        return Ok(());
    }
    Err(ImportError::OtherImport {
        data_set: data_set.to_owned(),
        saved: saved.fingerprint.to_string(),
        now: fingerprint.to_string(),
        events_done: saved.events_done,
    })
}

fn fenced(prepared: &Prepared, error: TransportError) -> ImportError {
    match error {
        TransportError::Fenced(detail) => ImportError::Fenced { data_set: prepared.data_set.clone(), detail },
        other => other.into(),
    }
}

/// How far an import is: what has been appended of the sorted events and of the rejected rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Position {
    events: usize,
    rejected: usize,
    finished: bool,
}

impl Position {
    fn of(saved: Option<&SavedProgress>) -> Self {
        let index = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        saved.map_or(Self::default(), |saved| Self {
            events: index(saved.events_done),
            rejected: index(saved.rejected_done),
            finished: saved.finished,
        })
    }
}

struct Writer<'p> {
    prepared: &'p Prepared,
    options: &'p ImportOptions,
    collected_partitions: u32,
    rejected_partitions: u32,
    imports_partition: u32,
    value: Vec<u8>,
}

impl Writer<'_> {
    /// Appends the next chunk in one transaction: a tick in every partition before the first event, events, rejected rows, a tick in
    /// every partition at the last event's time, and the progress. Gives the outcome and the position if it committed.
    fn append_chunk(
        &mut self,
        to: &mut dyn Transactions,
        from: Position,
    ) -> Result<(CommitOutcome, Position), ImportError> {
        match self.send_chunk(to, from) {
            Ok(next) => Ok((to.commit(), next)),
            Err(TransportError::Fenced(detail)) => Ok((CommitOutcome::Fenced(detail), from)),
            Err(error @ (TransportError::Unavailable(_) | TransportError::QueueFull { .. })) => {
                // Nothing was committed; whether the abort went through is settled when the transactions are opened again.
                if let Err(abort) = to.abort() {
                    warn!(%abort, "aborting a transaction failed");
                }
                Ok((CommitOutcome::Aborted(error.to_string()), from))
            }
            Err(error) => {
                if let Err(abort) = to.abort() {
                    warn!(%abort, "aborting a transaction failed");
                }
                Err(error.into())
            }
        }
    }

    fn send_chunk(&mut self, to: &mut dyn Transactions, from: Position) -> Result<Position, TransportError> {
        let (prepared, options) = (self.prepared, self.options);
        let (limit, limit_bytes) = (options.chunk_events.max(1), options.chunk_bytes);
        let mut size_bytes = 0usize;
        let mut within = |bytes: usize| {
            let fits = size_bytes == 0 || size_bytes + bytes <= limit_bytes;
            size_bytes += bytes;
            fits
        };
        let events = prepared.events.get(from.events..).unwrap_or_default();
        let events: Vec<_> = events.iter().take(limit).take_while(|event| within(event.payload.len())).collect();
        let rows = prepared.rejected.get(from.rejected..).unwrap_or_default();
        let rows: Vec<_> = rows.iter().take(limit).take_while(|row| within(row.raw.len())).collect();

        if let (0, Some(first)) = (from.events, events.first()) {
            // Time begins just before the first event, so that no partition fires timers earlier than the others.
            self.send_ticks(to, first.time_ms.saturating_sub(1))?;
        }
        for event in &events {
            records::collected(prepared, event, options, &mut self.value);
            let partition = partition_for(&event.key, self.collected_partitions);
            send(to, COLLECTED, partition, event.time_ms, &event.key, &self.value)?;
        }
        for row in &rows {
            records::rejected(prepared, row, options, &mut self.value);
            let id = records::rejection_id(prepared, row);
            let partition = partition_for(id.as_bytes(), self.rejected_partitions);
            send(to, REJECTED, partition, (options.now_ms)(), id.as_bytes(), &self.value)?;
        }
        if let Some(last) = events.last() {
            self.send_ticks(to, last.time_ms)?;
        }
        let (events, rejected) = (from.events + events.len(), from.rejected + rows.len());
        let finished = events >= prepared.events.len() && rejected >= prepared.rejected.len();
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let record = ImportProgress {
            data_set: &prepared.data_set,
            fingerprint: prepared.fingerprint,
            groups_done: count(events),
            rejected: count(rejected),
            finished,
        };
        records::progress(&record, options, &mut self.value);
        send(to, IMPORTS, self.imports_partition, (options.now_ms)(), prepared.data_set.as_bytes(), &self.value)?;
        Ok(Position { events, rejected, finished })
    }

    fn send_ticks(&mut self, to: &mut dyn Transactions, time_ms: i64) -> Result<(), TransportError> {
        records::tick(time_ms, self.options, &mut self.value);
        for partition in 0..self.collected_partitions {
            send(to, COLLECTED, partition, time_ms, &[], &self.value)?;
        }
        Ok(())
    }
}

fn send(
    to: &mut dyn Transactions,
    topic: u16,
    partition: u32,
    timestamp_ms: i64,
    key: &[u8],
    value: &[u8],
) -> Result<(), TransportError> {
    let mut attempt = 0;
    loop {
        match to.send(Append { topic, partition, timestamp_ms, key, value }) {
            Err(TransportError::QueueFull { .. }) if attempt < QUEUE_ATTEMPTS => {
                attempt += 1;
                sleep(QUEUE_WAIT);
            }
            other => return other,
        }
    }
}
