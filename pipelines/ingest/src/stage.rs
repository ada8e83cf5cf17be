//! The stage: one partition of the input, its state, and what one record does to it.

use std::sync::Arc;

use millstream_operators::site::{SITE_CONFIG_KIND, SiteConfigError, Sites};
use millstream_runtime::{Diversion, FateCount, Outputs, SnapshotState, Stage};
use millstream_schemas::closing::{Closing, NAMESPACE_CLOSED_KIND};
use millstream_schemas::input::{InputError, Reason};
use millstream_schemas::{Collected, Control, Event};
use millstream_transports::RecordRef;

use crate::accept::Steps;
use crate::breaker::Breaker;
use crate::classify::Classifier;
use crate::closed::Closed;
use crate::decode::{Incoming, decode};
use crate::dedup::Dedup;
use crate::emit::Emitter;
use crate::factory::Shared;
use crate::fates::{Fate, Fates};
use crate::identity::Identities;
use crate::reject::{reject, whole};
use crate::restore::restore;
use crate::snapshot::Draft;
use crate::watermark::Watermark;

/// The symbol of records that an import wrote.
const IMPORT: &str = "import";

/// State that is saved by copying.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Small {
    pub watermark: Watermark,
    pub fates: Fates,
    pub closed: Closed,
    /// Not in snapshots: a window is about what comes now.
    pub breaker: Breaker,
}

/// Ingest for one partition of `events.collected`.
#[derive(Debug)]
pub struct IngestStage {
    shared: Arc<Shared>,
    partition: u32,
    pub(crate) sites: Sites,
    pub(crate) dedup: Dedup,
    pub(crate) identities: Identities,
    classifier: Classifier,
    pub(crate) now: Small,
    pub(crate) committed: Small,
    /// Small state on its way into a snapshot, or out of one.
    pub(crate) draft: Draft,
}

impl IngestStage {
    /// A stage with empty state; made by the factory.
    pub(crate) fn new(shared: Arc<Shared>, partition: u32) -> Self {
        let config = &shared.config;
        Self {
            partition,
            sites: Sites::new(),
            dedup: Dedup::new(config.dedup_horizon_ms, config.dedup_budget_bytes),
            identities: Identities::new(config.max_identities),
            classifier: Classifier::new(),
            now: Small::default(),
            committed: Small::default(),
            draft: Draft::default(),
            shared,
        }
    }

    /// What became of the records so far, those of the current epoch included.
    pub fn fates(&self) -> &Fates {
        &self.now.fates
    }

    fn collected(&mut self, record: RecordRef<'_>, collected: &Collected<'_>, out: &mut Outputs) {
        if self.now.closed.is_closed() {
            reject(&self.shared, record, Some(collected), &handed_over(), out);
            return self.now.fates.count(Fate::Rejected);
        }
        self.observe(collected.received_at, collected.origin != IMPORT);
        let mut steps = Steps {
            shared: &self.shared,
            sites: &self.sites,
            dedup: &mut self.dedup,
            identities: &mut self.identities,
            classifier: &mut self.classifier,
            fates: &mut self.now.fates,
        };
        let (fate, refused) = match steps.run(record, collected, out) {
            Ok(fate) => (fate, None),
            Err(error) => {
                reject(&self.shared, record, Some(collected), &error, out);
                (Fate::Rejected, Some(error.reason))
            }
        };
        self.now.fates.count(fate);
        self.now.breaker.count(&self.shared.config.breaker, refused);
        self.announce(record, false, out);
    }

    fn restored(&mut self, record: RecordRef<'_>, accepted: &Event<'_>, out: &mut Outputs) -> Result<Fate, InputError> {
        if self.now.closed.is_closed() {
            return Err(handed_over());
        }
        self.observe(accepted.received_at, accepted.origin != IMPORT);
        let fate = restore(&self.shared, &mut self.dedup, &mut self.identities, record, accepted, out);
        self.announce(record, false, out);
        fate
    }

    fn control(&mut self, control: &Control<'_>) -> Result<Fate, InputError> {
        match control.kind {
            SITE_CONFIG_KIND => {
                self.sites
                    .apply(control.site, control.number, control.effective_at, control.body)
                    .map_err(|error| refused_setting(&error))?;
                self.dedup.widen(self.sites.get(control.site).horizon_ms);
            }
            NAMESPACE_CLOSED_KIND => {
                let closing = Closing::parse(control.body).map_err(|detail| whole(Reason::WrongType, detail))?;
                self.now.closed.set(closing.successor.is_some());
            }
            // Kinds for other stages are copied here too, and do nothing here.
            _ => {}
        }
        Ok(Fate::Applied)
    }

    fn observe(&mut self, time_ms: i64, live: bool) {
        let bound_ms = if live { self.shared.config.watermark_bound_ms } else { 0 };
        self.now.watermark.observe(time_ms, bound_ms);
        if live {
            // An import's times are history: they say nothing about how long ago an id was received.
            self.dedup.advance(time_ms);
        }
    }

    fn announce(&mut self, record: RecordRef<'_>, tick: bool, out: &mut Outputs) {
        if let Some(time_ms) = self.now.watermark.announce(tick) {
            Emitter { shared: &self.shared, record, out }.watermark(self.partition, time_ms);
        }
    }
}

#[cold]
fn handed_over() -> InputError {
    whole(Reason::NamespaceClosed, "this namespace was handed over to another one")
}

#[cold]
fn refused_setting(error: &SiteConfigError) -> InputError {
    let (reason, field) = match error {
        SiteConfigError::Malformed { .. } => (Reason::WrongType, ""),
        SiteConfigError::OutOfRange { field, .. } => (Reason::OutOfRange, *field),
        SiteConfigError::TooMany { .. } => (Reason::OutOfRange, "site"),
    };
    InputError { reason, field: field.into(), detail: error.to_string().into() }
}

impl Stage for IngestStage {
    fn on_record(&mut self, record: RecordRef<'_>, out: &mut Outputs) {
        let decided = match decode(record.value, &self.shared.config.schema_ids) {
            Ok(Incoming::Collected(collected)) => return self.collected(record, &collected, out),
            Ok(Incoming::Restored(event)) => self.restored(record, &event, out),
            Ok(Incoming::Tick(_)) if self.now.closed.is_closed() => Ok(Fate::Applied),
            Ok(Incoming::Tick(tick)) => {
                self.observe(tick.time, tick.origin != IMPORT);
                self.announce(record, true, out);
                Ok(Fate::Applied)
            }
            Ok(Incoming::Control(control)) => self.control(&control),
            Err(error) => Err(error),
        };
        let fate = decided.unwrap_or_else(|error| {
            reject(&self.shared, record, None, &error, out);
            Fate::Rejected
        });
        self.now.fates.count(fate);
    }

    fn divert(&mut self, record: RecordRef<'_>, why: &Diversion, out: &mut Outputs) {
        let Diversion::Panic(message) = why;
        let error = whole(Reason::OperatorPanic, format!("{message}; please report it, and send the event again"));
        let incoming = decode(record.value, &self.shared.config.schema_ids);
        let collected = match &incoming {
            Ok(Incoming::Collected(collected)) => Some(collected),
            _ => None,
        };
        reject(&self.shared, record, collected, &error, out);
        self.now.fates.count(Fate::Rejected);
    }

    fn commit_epoch(&mut self) {
        self.sites.commit();
        self.dedup.commit();
        self.identities.commit();
        self.shared.totals.add(&self.committed.fates, &self.now.fates);
        self.now.breaker.pass(&self.shared.config.breaker);
        self.committed = self.now;
    }

    fn undo_epoch(&mut self) {
        self.sites.undo();
        self.dedup.undo();
        self.identities.undo();
        self.now = self.committed;
    }

    fn fates(&self) -> Vec<FateCount> {
        self.now.fates.by_name()
    }

    fn state_keys(&self) -> usize {
        self.identities.len()
    }

    fn watermark_ms(&self) -> Option<i64> {
        Some(self.now.watermark.time_ms()).filter(|time_ms| *time_ms > 0)
    }

    fn budget_percent(&self) -> Option<u64> {
        Some(self.dedup.budget_percent())
    }

    fn blocked(&self) -> Option<String> {
        let ids = self.dedup.over_budget().map(|over| over.to_string());
        let ids = ids.or_else(|| self.identities.over_budget().map(|over| over.to_string()));
        ids.or_else(|| self.now.breaker.tripped(&self.shared.config.breaker))
    }

    fn undo_bytes(&self) -> usize {
        self.dedup.undo_bytes() + self.identities.undo_bytes()
    }

    fn snapshots(&mut self) -> Option<&mut dyn SnapshotState> {
        Some(self)
    }
}
