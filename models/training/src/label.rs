//! What happened after a decision.

use std::collections::BTreeMap;

use millstream_operators::core::EventKind;
use millstream_schemas::{Event, Id, Session};
use millstream_scoring::{Feature, Features};

use crate::stages::{Decision, Watcher};

/// The horizon of the second question.
pub const WEEK_MS: i64 = 7 * 86_400_000;

/// A decision with what happened after it.
#[derive(Debug, Clone, PartialEq)]
pub struct Labelled {
    /// What the scorer saw.
    pub features: Features,
    /// Who.
    pub person: Id,
    /// The source.
    pub source: Id,
    /// When, milliseconds UTC.
    pub time_ms: i64,
    /// Events of the session seen by then.
    pub events: u32,
    /// Whether the session bought (again) afterwards.
    pub session: bool,
    /// Whether the person bought within the next seven days; `None` where that is not over yet.
    pub within_7_days: Option<bool>,
}

/// Which events a shop sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracker {
    /// All of the catalogue.
    Full,
    /// Only what its product and order systems know: product views, cart and purchases; no pages, lists, searches or checkout steps.
    CatalogueOnly,
}

impl Tracker {
    fn sends(self, event_type: &str) -> bool {
        match self {
            Self::Full => true,
            Self::CatalogueOnly => {
                !matches!(event_type, "page_view" | "page_ping" | "list_view" | "search" | "checkout_step")
            }
        }
    }
}

/// An event's place in time.
type At = (i64, i64);

#[derive(Debug, Clone, Copy)]
struct SessionSpan {
    id: Id,
    source: Id,
    revision: i64,
    retracted: bool,
    started_ms: i64,
    ended_ms: i64,
}

/// Gathers what the stages did until it can be labelled.
#[derive(Debug)]
pub struct Gathered {
    tracker: Tracker,
    decisions: Vec<(Decision, At)>,
    spans: BTreeMap<Id, SessionSpan>,
    /// The person of each source, as last decided.
    persons: BTreeMap<Id, Id>,
    /// When each order was first told of, and by which source.
    orders: BTreeMap<String, (At, Id)>,
    /// The event at hand.
    now: (String, At),
}

impl Gathered {
    /// Nothing yet, of a shop that sends these events.
    pub fn new(tracker: Tracker) -> Self {
        Self {
            tracker,
            decisions: Vec::new(),
            spans: BTreeMap::new(),
            persons: BTreeMap::new(),
            orders: BTreeMap::new(),
            now: Default::default(),
        }
    }

    /// Labels every decision; `end_ms` is when the traffic ends.
    pub fn label(self, end_ms: i64) -> Vec<Labelled> {
        let mut sessions: BTreeMap<Id, Vec<SessionSpan>> = BTreeMap::new();
        for span in self.spans.values().filter(|span| !span.retracted) {
            sessions.entry(span.source).or_default().push(*span);
        }
        for list in sessions.values_mut() {
            list.sort_by_key(|span| span.started_ms);
        }
        let mut by_source: BTreeMap<Id, Vec<At>> = BTreeMap::new();
        let mut by_person: BTreeMap<Id, Vec<At>> = BTreeMap::new();
        for &(at, source) in self.orders.values() {
            by_source.entry(source).or_default().push(at);
            if let Some(&person) = self.persons.get(&source) {
                by_person.entry(person).or_default().push(at);
            }
        }
        let after = |orders: Option<&Vec<At>>, at: At, until_ms: i64| {
            orders.is_some_and(|orders| orders.iter().any(|&order| order > at && order.0 <= until_ms))
        };
        let mut labelled = Vec::with_capacity(self.decisions.len());
        for (decision, at) in self.decisions {
            // Of the sessions as they ended up. One that a late event split, joined or began anew is not the one that was scored, and
            // an event that only changed what was before a later session did not bring its score about.
            let list = sessions.get(&decision.source).map(Vec::as_slice).unwrap_or_default();
            let span = find(list, at.0).filter(|span| span.id == decision.session);
            let (Some(span), Some(&person)) = (span, self.persons.get(&decision.source)) else { continue };
            let features = decision.features;
            labelled.push(Labelled {
                features,
                person,
                source: decision.source,
                time_ms: at.0,
                events: features.get(Feature::Events) as u32,
                session: after(by_source.get(&decision.source), at, span.ended_ms),
                within_7_days: (at.0 + WEEK_MS <= end_ms).then(|| after(by_person.get(&person), at, at.0 + WEEK_MS)),
            });
        }
        labelled
    }
}

/// The session that holds the moment.
fn find(list: &[SessionSpan], time_ms: i64) -> Option<&SessionSpan> {
    let at = list.partition_point(|span| span.started_ms <= time_ms).checked_sub(1)?;
    list.get(at).filter(|span| time_ms <= span.ended_ms)
}

impl Watcher for Gathered {
    fn event(&mut self, event: &Event<'_>) -> bool {
        if !self.tracker.sends(event.event_type) {
            return false;
        }
        let (Some(source), Some(person)) = (event.source, event.person) else { return true };
        let at = (event.event_time, event.sequence.unwrap_or(0));
        self.persons.insert(source, person);
        self.now = (event.event_id.to_owned(), at);
        if EventKind::of(event.event_type) == EventKind::Purchase {
            let order = event.order_id.unwrap_or(event.event_id).to_owned();
            let first = self.orders.entry(order).or_insert((at, source));
            if at < first.0 {
                *first = (at, source);
            }
        }
        true
    }

    fn decision(&mut self, decision: Decision) {
        // Scores that another record than an event causes (a hand-over) are of events that were scored before.
        if decision.event_id == self.now.0 {
            self.decisions.push((decision, self.now.1));
        }
    }

    fn session(&mut self, session: &Session<'_>) {
        let span = SessionSpan {
            id: session.session_id,
            source: session.source,
            revision: session.revision,
            retracted: session.retracted,
            started_ms: session.started_at,
            ended_ms: session.ended_at,
        };
        let known = self.spans.entry(session.session_id).or_insert(span);
        if known.revision <= session.revision {
            *known = span;
        }
    }
}
