//! A namespace made anew from the warehouse's table of accepted events, where the log has lost its beginning.
//!
//! All events come back in the order in which they were received, ingest takes them in as accepted before, and the stages behind it make
//! everything else of them. Settings and promotions apply from the beginning, as they stand now: the table does not say between which
//! events they came. What the warehouse has lost or erased stays lost and erased.
//!
//! How far it has come, what was restored says itself: a restoration that was killed goes on where it was. Where the table is no longer
//! what was restored of it, it refuses.

mod row;
mod table;

use std::ops::ControlFlow;

use millstream_schemas::input_key::{InputIdentity, input_key};
use millstream_schemas::{Collected, Control, Event, Id, Record, SchemaIds, Tick, frame};
use millstream_transports::{Append, Transactions, Transport, partition_for};

use crate::ReplayError;
use crate::closing::said;
use crate::control::{CONTROL, control_in, last_number};
use crate::copy::{EVENTS, TRANSACTION_BYTES, commit};
use crate::reading::{Next, read};

pub use table::{Table, TableError};

/// Ticks at the end of a table of live events. The first lets all the time pass that has passed since, and each lets a stage fire as many
/// timers as it fires for one record.
const LAST_TICKS: i64 = 64;
/// Indices into the topics of the transactions.
const INPUT: u16 = 0;
const TO_CONTROL: u16 = 1;
const TO_EVENTS: u16 = 2;

/// What is restored, and where.
pub struct Restorer<'a> {
    transport: &'a dyn Transport,
    ids: &'a SchemaIds,
    from: &'a str,
    to: &'a str,
    out: Box<dyn Transactions>,
    partitions: u32,
    open_bytes: usize,
    /// What an earlier call has restored.
    known: Restored,
    key: Vec<u8>,
    body: Vec<u8>,
}

impl<'a> Restorer<'a> {
    /// A restorer into a namespace whose topics exist, and hold nothing but what was restored before. Another one into it is fenced.
    ///
    /// # Errors
    /// Where they hold something else, or the log fails.
    pub fn new(
        transport: &'a dyn Transport,
        ids: &'a SchemaIds,
        from: &'a str,
        to: &'a str,
    ) -> Result<Self, ReplayError> {
        let topic = format!("{to}{}", Collected::TOPIC);
        let topics = vec![topic.clone(), format!("{to}{CONTROL}"), format!("{to}{EVENTS}")];
        // Fences first: what is counted below must not grow any more.
        let out = transport.transactions(&format!("{to}replay-input"), topics)?;
        let partitions = transport.partition_count(&topic)?;
        let mut known = Restored::default();
        for partition in 0..partitions {
            read(transport, &topic, partition, 0, u64::MAX, |record| {
                let not_a_copy = || ReplayError::NotACopy { topic: topic.clone(), partition, offset: record.offset };
                match frame::split(record.value).map(|(id, body)| (ids.from_wire(id), body)) {
                    Ok((Event::ID, body)) => known.add(&Event::decode(body).map_err(|_| not_a_copy())?),
                    Ok((Tick::ID | Control::ID, _)) => {}
                    _ => return Err(not_a_copy()),
                }
                Ok(Next::On)
            })?;
        }
        Ok(Self { transport, ids, from, to, out, partitions, open_bytes: 0, known, key: Vec::new(), body: Vec::new() })
    }

    /// Restores everything there is in the table; `now_ms` is the present, milliseconds UTC. Tells `report` how many events are done, of
    /// how many; where that breaks, it ends. Gives the number of events done.
    ///
    /// # Errors
    /// Where the table or the log cannot be read, the log refuses, an import has not ended, or the table is no longer what was restored
    /// of it.
    pub fn restore(
        &mut self,
        table: &dyn Table,
        now_ms: i64,
        report: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<u64, ReplayError> {
        let data_sets = crate::imports::unfinished(self.transport, self.ids, self.from)?;
        if !data_sets.is_empty() {
            return Err(ReplayError::Importing { data_sets });
        }
        self.control()?;
        let Some(span) = table::span(table)? else { return Ok(0) };
        let origin = if span.is_live { "live" } else { "import" };
        let (mut skipped, mut done) = (Restored::default(), 0);
        let ended = table::pages(table, &span, &mut |page| {
            let rows = page.rows(table)?;
            if self.known.events == 0 && done == 0 {
                // Time begins just before the first event, so that no partition fires timers earlier than the others.
                self.ticks("import", span.first_ms.saturating_sub(1))?;
            }
            let mut last_ms = None;
            for row in &rows {
                row::encode(Event::SCHEMA, row, &mut self.body)
                    .map_err(|why| TableError(format!("a row of events: {why}")))?;
                let body = std::mem::take(&mut self.body);
                let event = Event::decode(&body).map_err(|error| TableError(format!("a row of events: {error}")))?;
                if skipped.events < self.known.events {
                    skipped.add(&event);
                    self.refuse_another_table(&skipped)?;
                } else {
                    self.event(&event)?;
                    last_ms = Some(event.received_at);
                }
                self.body = body;
                self.body.clear();
            }
            done += page.count();
            let Some(last_ms) = last_ms else { return Ok(ControlFlow::Continue(())) };
            // Partitions that nothing came to must not hold time back for the others.
            self.ticks(origin, last_ms)?;
            // No transaction stays open while the warehouse is asked, or stages are waited for: it would run out of time.
            self.commit()?;
            Ok(report(done, span.events))
        })?;
        if ended.is_break() {
            return Ok(done);
        }
        if skipped.events < self.known.events {
            return Err(another_table().into());
        }
        if span.is_live {
            for before_ms in (0..LAST_TICKS).rev() {
                self.ticks(origin, now_ms.max(span.last_ms).saturating_sub(before_ms))?;
            }
        } else {
            self.ticks(origin, span.last_ms)?;
        }
        self.commit()?;
        crate::imports::copy(self.transport, self.ids, self.from, self.to)?;
        Ok(done)
    }

    /// Appends the control records that are not there yet to the inputs of all stages.
    fn control(&mut self) -> Result<(), ReplayError> {
        let last = last_number(self.transport, self.ids, self.to)?;
        let behind = self.transport.partition_count(&format!("{}{EVENTS}", self.to))?;
        let (ids, partitions, out) = (self.ids, self.partitions, &mut self.out);
        read(self.transport, &format!("{}{CONTROL}", self.from), 0, 0, u64::MAX, |record| {
            let is_news = control_in(record.value, ids, |control| control.number > last).unwrap_or(false);
            if is_news && said(record.value, ids).is_none() {
                let (timestamp_ms, key, value) = (record.timestamp_ms, record.key, record.value);
                let everywhere = (0..partitions).map(|at| (INPUT, at)).chain((0..behind).map(|at| (TO_EVENTS, at)));
                for (topic, partition) in everywhere.chain([(TO_CONTROL, 0)]) {
                    out.send(Append { topic, partition, timestamp_ms, key, value })?;
                }
            }
            Ok(Next::On)
        })?;
        self.commit()
    }

    /// Refuses where as many events as were restored are others than those.
    fn refuse_another_table(&self, skipped: &Restored) -> Result<(), TableError> {
        let is_another = skipped.events == self.known.events && *skipped != self.known;
        if is_another { Err(another_table()) } else { Ok(()) }
    }

    fn event(&mut self, event: &Event<'_>) -> Result<(), ReplayError> {
        let identity = InputIdentity {
            device: event.device_id,
            user: event.user_id,
            order: event.order_id.or(event.refund_id),
            event: Some(event.event_id),
        };
        input_key(event.site, identity, &mut self.key);
        let mut value = Vec::new();
        event.encode_framed(self.ids.to_wire(Event::ID), &mut value);
        let partition = partition_for(&self.key, self.partitions);
        let timestamp_ms = event.received_at.max(0);
        self.out.send(Append { topic: INPUT, partition, timestamp_ms, key: &self.key, value: &value })?;
        self.open_bytes += value.len();
        if self.open_bytes >= TRANSACTION_BYTES { self.commit() } else { Ok(()) }
    }

    fn ticks(&mut self, origin: &str, time: i64) -> Result<(), ReplayError> {
        let mut value = Vec::new();
        Tick { origin, time }.encode_framed(self.ids.to_wire(Tick::ID), &mut value);
        for partition in 0..self.partitions {
            let timestamp_ms = time.max(0);
            self.out.send(Append { topic: INPUT, partition, timestamp_ms, key: &[], value: &value })?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), ReplayError> {
        self.open_bytes = 0;
        commit(self.out.as_mut(), &format!("{}{}", self.to, Collected::TOPIC))
    }
}

/// Events, whatever their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Restored {
    events: u64,
    /// The sum of hashes of what tells them apart and orders them.
    sum: u128,
}

impl Restored {
    fn add(&mut self, event: &Event<'_>) {
        self.events += 1;
        let received_at = event.received_at.to_be_bytes();
        let id = Id::of(&[event.site.as_bytes(), event.event_id.as_bytes(), &received_at]);
        self.sum = self.sum.wrapping_add(id.0);
    }
}

fn another_table() -> TableError {
    let why = "the table events is no longer what was restored of it before (rows were deleted, imported or delivered late): restore into \
               another namespace";
    TableError(why.to_owned())
}

impl std::fmt::Debug for Restorer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Restorer").field("from", &self.from).field("to", &self.to).finish_non_exhaustive()
    }
}
