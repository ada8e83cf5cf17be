//! The profile stage: decodes a record, drives the operators.

use std::sync::Arc;

use millstream_operators::core::context::Rejection;
use millstream_operators::core::limits::TIMERS_PER_RECORD;
use millstream_operators::core::watermark::{WatermarkError, WatermarkGate};
use millstream_operators::core::{Context, UndoMap};
use millstream_operators::orders::Orders;
use millstream_operators::person::{Env, Incoming, MemoryUse, People};
use millstream_operators::site::{SITE_CONFIG_KIND, SiteConfigError, Sites};
use millstream_runtime::{Diversion, FateCount, Outputs, SnapshotState, Stage};
use millstream_schemas::input::Reason;
use millstream_schemas::{
    Control, DecodeError, Event, FeedbackWatermark, HandOver, Id, OrderEntry, OrderFact, SourceMoved, Watermark, by_id,
    frame,
};
use millstream_transports::{RecordRef, partition_for};

use crate::config::ProfileConfig;
use crate::factory::OUT_REJECTED;
use crate::feedback::{Feedback, FeedbackError};
use crate::models::{MODEL_PROMOTION_KIND, Models, PromotionError};
use crate::sink::{OutputSink, reject};
use crate::snapshot::Small;

/// The state machine of one partition of `events`.
#[derive(Debug)]
pub struct ProfileStage {
    config: Arc<ProfileConfig>,
    partition: u32,
    pub(crate) people: People,
    pub(crate) orders: Orders,
    pub(crate) sites: Sites,
    pub(crate) models: Models,
    pub(crate) gate: WatermarkGate,
    pub(crate) feedback: Feedback,
    /// Whether timers may be due that the last announcement was not let fire, now and as of the last commit.
    pub(crate) behind: bool,
    pub(crate) behind_committed: bool,
    /// What became of the records, now and as of the last commit.
    pub(crate) fates: Fates,
    pub(crate) fates_committed: Fates,
    /// Numbers of control records taken in: one that was copied twice counts once. By site.
    pub(crate) control_numbers: UndoMap<u128, i64>,
    /// Small state on its way into a snapshot, or out of one.
    pub(crate) small: Small,
}

/// What became of the records: each took effect, or has a dead letter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fates {
    pub applied: u64,
    pub rejected: u64,
}

/// What is wrong with a record.
enum Bad {
    Frame(frame::FrameError),
    Schema(u32),
    Body(DecodeError),
    Watermark(WatermarkError),
    Feedback(FeedbackError),
    Control(SiteConfigError),
    Promotion(Box<PromotionError>),
}

impl From<DecodeError> for Bad {
    fn from(error: DecodeError) -> Self {
        Self::Body(error)
    }
}

impl ProfileStage {
    /// A stage with empty state.
    pub fn new(config: Arc<ProfileConfig>, partition: u32) -> Self {
        Self {
            models: Models::new(config.artefacts.clone(), config.scorer.clone()),
            config,
            partition,
            people: People::new(),
            orders: Orders::new(),
            sites: Sites::new(),
            gate: WatermarkGate::new(),
            feedback: Feedback::default(),
            behind: false,
            behind_committed: false,
            fates: Fates::default(),
            fates_committed: Fates::default(),
            control_numbers: UndoMap::new(),
            small: Small::default(),
        }
    }

    /// The task's watermark, milliseconds UTC; `i64::MIN` before all upstreams have announced.
    pub fn watermark_ms(&self) -> i64 {
        self.gate.current_ms()
    }

    /// Persons and orders held.
    pub fn counts(&self) -> StateUse {
        StateUse { persons: self.people.len(), orders: self.orders.len() }
    }

    /// Bytes held for the given persons, itemised.
    pub fn memory_use(&self, persons: impl IntoIterator<Item = Id>) -> MemoryUse {
        self.people.memory_use(persons)
    }

    fn take(&mut self, record: RecordRef<'_>, out: &mut Outputs) -> Result<(), Bad> {
        let (wire_id, body) = frame::split(record.value).map_err(Bad::Frame)?;
        match self.config.schema_ids.from_wire(wire_id) {
            Event::ID => self.event(record, body, out),
            OrderEntry::ID => self.order_entry(record, body, out),
            OrderFact::ID => self.order_fact(record, body, out),
            Watermark::ID => self.watermark(record, body, out),
            FeedbackWatermark::ID => self.feedback_watermark(record, body, out),
            SourceMoved::ID => self.source_moved(record, body, out),
            HandOver::ID => self.hand_over(record, body, out),
            Control::ID => self.control(body),
            other => Err(Bad::Schema(other)),
        }
    }

    fn context<'a>(&self, record: RecordRef<'_>, event_time_ms: i64, source_event: &'a str) -> Context<'a> {
        let watermark_ms = self.gate.current_ms();
        let settled_ms = self.feedback.settled_ms(watermark_ms);
        Context { offset: record.offset, watermark_ms, settled_ms, event_time_ms, source_event }
    }

    fn event(&mut self, record: RecordRef<'_>, body: &[u8], out: &mut Outputs) -> Result<(), Bad> {
        let event = Event::decode(body)?;
        let cx = self.context(record, event.event_time, event.event_id);
        let env = Env { sites: &self.sites, scorer: self.models.scorer(event.site) };
        let mut sink = OutputSink { config: &self.config, record, out };
        self.people.on_event(Incoming { record: &event, body }, env, &cx, &mut sink);
        Ok(())
    }

    fn order_entry(&mut self, record: RecordRef<'_>, body: &[u8], out: &mut Outputs) -> Result<(), Bad> {
        let entry = OrderEntry::decode(body)?;
        let cx = self.context(record, entry.event_time, entry.event_id);
        let mut sink = OutputSink { config: &self.config, record, out };
        self.orders.on_entry(&entry, body, &self.sites, &cx, &mut sink);
        Ok(())
    }

    fn order_fact(&mut self, record: RecordRef<'_>, body: &[u8], out: &mut Outputs) -> Result<(), Bad> {
        let fact = OrderFact::decode(body)?;
        let cx = self.context(record, fact.event_time, fact.source_event);
        let env = Env { sites: &self.sites, scorer: self.models.scorer(fact.site) };
        let mut sink = OutputSink { config: &self.config, record, out };
        self.people.on_order_fact(&fact, env, &cx, &mut sink);
        Ok(())
    }

    fn watermark(&mut self, record: RecordRef<'_>, body: &[u8], out: &mut Outputs) -> Result<(), Bad> {
        let watermark = Watermark::decode(body)?;
        let before_ms = self.gate.current_ms();
        self.gate.announce(watermark.upstream, watermark.upstreams, watermark.time).map_err(Bad::Watermark)?;
        let now_ms = self.gate.current_ms();
        // Timers left over wait for the next announcement: fired with an event, a session could have two records of one revision.
        if now_ms > before_ms || self.behind {
            let cx = self.context(record, now_ms, "");
            // Timers score nothing.
            let env = Env { sites: &self.sites, scorer: &*self.config.scorer };
            let mut sink = OutputSink { config: &self.config, record, out };
            self.behind = self.people.on_watermark(TIMERS_PER_RECORD, env, &cx, &mut sink);
        }
        self.settle(record, out);
        Ok(())
    }

    fn feedback_watermark(&mut self, record: RecordRef<'_>, body: &[u8], out: &mut Outputs) -> Result<(), Bad> {
        let watermark = FeedbackWatermark::decode(body)?;
        let FeedbackWatermark { upstream, upstreams, round, time } = watermark;
        self.feedback.take(upstream, upstreams, round, time).map_err(Bad::Feedback)?;
        self.settle(record, out);
        Ok(())
    }

    /// After an announcement: announces in turn what is due, and lets time pass for orders.
    fn settle(&mut self, record: RecordRef<'_>, out: &mut Outputs) {
        let watermark_ms = self.gate.current_ms();
        for due in self.feedback.due(watermark_ms) {
            OutputSink { config: &self.config, record, out }.feedback_watermark(self.partition, &due);
        }
        self.orders.on_settled(self.feedback.settled_ms(watermark_ms));
    }

    fn source_moved(&mut self, record: RecordRef<'_>, body: &[u8], out: &mut Outputs) -> Result<(), Bad> {
        let moved = SourceMoved::decode(body)?;
        let cx = self.context(record, moved.event_time, moved.source_event);
        let incoming = Incoming { record: &moved, body };
        let env = Env { sites: &self.sites, scorer: self.models.scorer(moved.site) };
        let mut sink = OutputSink { config: &self.config, record, out };
        if moved.from_person == moved.to_person {
            return Ok(());
        }
        if is_here(&self.config, self.partition, moved.from_person) {
            self.people.on_moved_away(incoming, env, &cx, &mut sink);
        }
        if is_here(&self.config, self.partition, moved.to_person) {
            self.people.on_moved_here(incoming, env, &cx, &mut sink);
        }
        Ok(())
    }

    fn hand_over(&mut self, record: RecordRef<'_>, body: &[u8], out: &mut Outputs) -> Result<(), Bad> {
        let hand_over = HandOver::decode(body)?;
        let cx = self.context(record, hand_over.event_time, hand_over.source_event);
        let env = Env { sites: &self.sites, scorer: self.models.scorer(hand_over.site) };
        let mut sink = OutputSink { config: &self.config, record, out };
        self.people.on_hand_over(&hand_over, env, &cx, &mut sink);
        Ok(())
    }

    fn control(&mut self, body: &[u8]) -> Result<(), Bad> {
        let control = Control::decode(body)?;
        if !matches!(control.kind, SITE_CONFIG_KIND | MODEL_PROMOTION_KIND) {
            // Kinds that other stages act on pass by.
            return Ok(());
        }
        let last = self.control_numbers.get_or_insert_with(Id::of(&[control.site.as_bytes()]).0, || i64::MIN);
        if control.number <= *last {
            return Ok(());
        }
        if control.kind == MODEL_PROMOTION_KIND {
            self.models.apply(control.site, control.body).map_err(|error| Bad::Promotion(Box::new(error)))?;
        } else {
            self.sites.apply(control.site, control.number, control.effective_at, control.body).map_err(Bad::Control)?;
        }
        *last = control.number;
        Ok(())
    }
}

fn is_here(config: &ProfileConfig, partition: u32, person: Id) -> bool {
    partition_for(&person.0.to_be_bytes(), config.topics.events.partitions) == partition
}

fn reject_bad(config: &ProfileConfig, record: RecordRef<'_>, bad: &Bad, out: &mut Outputs) {
    let (reason, field, detail) = match bad {
        Bad::Frame(error) => (Reason::CorruptFrame, None, error.to_string()),
        Bad::Body(error) => {
            (Reason::CorruptFrame, Some(error.field).filter(|field| !field.is_empty()), error.to_string())
        }
        Bad::Schema(id) => match by_id(*id) {
            Some(schema) => (
                Reason::UnexpectedRecord,
                None,
                format!("profile reads no record {}; see which producer writes to this topic", schema.name),
            ),
            None => (Reason::UnknownSchema, None, format!("no schema has id {id}; a newer version may know it")),
        },
        Bad::Watermark(error) => (Reason::UnknownUpstream, Some("upstream"), error.to_string()),
        Bad::Feedback(error) => (Reason::UnknownUpstream, Some("upstream"), error.to_string()),
        Bad::Control(error) => {
            let (reason, field) = error.reason();
            (reason, field, error.to_string())
        }
        Bad::Promotion(error) => {
            let (reason, field) = error.reason();
            (reason, field, error.to_string())
        }
    };
    reject(config, record, &Rejection { reason, field, detail: &detail, site: "", event_id: None }, out);
}

impl Stage for ProfileStage {
    fn on_record(&mut self, record: RecordRef<'_>, out: &mut Outputs) {
        let mark = out.mark();
        if let Err(bad) = self.take(record, out) {
            reject_bad(&self.config, record, &bad, out);
        }
        // Operators write dead letters of their own.
        if out.wrote_since(mark, OUT_REJECTED) { self.fates.rejected += 1 } else { self.fates.applied += 1 }
    }

    fn warm(&self, records: &[RecordRef<'_>]) {
        crate::warm::warm(&self.people, records);
    }

    fn divert(&mut self, record: RecordRef<'_>, why: &Diversion, out: &mut Outputs) {
        let Diversion::Panic(message) = why;
        let event = frame::split(record.value).ok().and_then(|(_, body)| Event::decode(body).ok());
        let rejection = Rejection {
            reason: Reason::OperatorPanic,
            field: None,
            detail: message,
            site: event.as_ref().map_or("", |event| event.site),
            event_id: event.as_ref().map(|event| event.event_id),
        };
        reject(&self.config, record, &rejection, out);
        self.fates.rejected += 1;
    }

    fn fates(&self) -> Vec<FateCount> {
        let Fates { applied, rejected } = self.fates;
        vec![FateCount { name: "applied", records: applied }, FateCount { name: "rejected", records: rejected }]
    }

    fn commit_epoch(&mut self) {
        self.people.commit();
        self.orders.commit();
        self.sites.commit();
        self.models.commit();
        self.gate.commit();
        self.feedback.commit();
        self.control_numbers.commit();
        self.behind_committed = self.behind;
        self.fates_committed = self.fates;
    }

    fn undo_epoch(&mut self) {
        self.people.undo();
        self.orders.undo();
        self.sites.undo();
        self.models.undo();
        self.gate.undo();
        self.feedback.undo();
        self.control_numbers.undo();
        self.behind = self.behind_committed;
        self.fates = self.fates_committed;
    }

    fn state_keys(&self) -> usize {
        self.people.len() + self.orders.len()
    }

    fn watermark_ms(&self) -> Option<i64> {
        Some(self.gate.current_ms()).filter(|time_ms| *time_ms > 0)
    }

    fn blocked(&self) -> Option<String> {
        self.models.blocked()
    }

    fn undo_bytes(&self) -> usize {
        // Sessions are shared with the saved entries; what is copied is the entry and the one session that changed.
        (self.people.saved_len() + self.orders.saved_len()) * UNDO_BYTES_PER_ENTRY
    }

    fn snapshots(&mut self) -> Option<&mut dyn SnapshotState> {
        Some(self)
    }
}

/// An estimate of what one saved entry costs.
const UNDO_BYTES_PER_ENTRY: usize = 768;

/// What a stage holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateUse {
    /// Persons.
    pub persons: usize,
    /// Orders.
    pub orders: usize,
}
