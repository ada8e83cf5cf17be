//! What is kept of a person.

use std::sync::Arc;

use millstream_schemas::Id;
use smallvec::SmallVec;

use super::trade::Trade;
use crate::attribution::{self, Touches};
use crate::core::Context;
use crate::core::limits::{ORDER_RETENTION_MS, PURCHASES_PER_SOURCE, SOURCES_PER_PERSON, VISITS_RETENTION_MS};
use crate::sessions::{self, Rules, Session, SourceSessions};
use crate::site::SiteConfig;
use crate::visits::Visits;

const DAY_MS: i64 = 86_400_000;

/// An order or refund that follows its source from person to person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purchase {
    /// The order; `None` for a refund that names none.
    pub order_id: Option<Box<str>>,
    /// The refund, where the order is not named.
    pub refund_id: Option<Box<str>>,
    /// Its latest event's time, milliseconds UTC.
    pub event_time_ms: i64,
}

/// What a held record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldKind {
    /// An event.
    Event,
    /// A marker.
    SourceMoved,
}

/// A record that waits for its source's hand-over.
#[derive(Debug, Clone)]
pub struct Held {
    /// What it is.
    pub kind: HeldKind,
    /// Its Avro body.
    pub body: Arc<[u8]>,
}

/// Records that wait, in the order they came.
#[derive(Debug, Clone, Default)]
pub struct Hold {
    /// The records.
    pub queue: Vec<Held>,
    /// Their bytes.
    pub bytes: usize,
}

/// What decides how long a source's state is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceRules {
    /// Of sessions.
    pub sessions: Rules,
    /// Of touches.
    pub attribution: attribution::Rules,
}

impl SourceRules {
    /// A shop's rules.
    pub fn of(site: &SiteConfig) -> Self {
        Self { sessions: Rules::of(site), attribution: attribution::Rules::of(site) }
    }
}

/// The end of the day (UTC) of a time. What is due once, long after somebody was last seen, waits for it, so that the timers of those
/// who rest stand together.
pub(super) fn end_of_day(time_ms: i64) -> i64 {
    time_ms.div_euclid(DAY_MS).saturating_add(1).saturating_mul(DAY_MS)
}

/// What is kept of one source of a person.
#[derive(Debug, Clone)]
pub struct Source {
    /// The source.
    pub id: Id,
    /// Its sessions that can still be amended.
    pub sessions: SourceSessions,
    /// What is left of those that cannot.
    pub visits: Visits,
    /// The touches of those, as long as orders may want them, and offline touches.
    pub touches: Touches,
    /// Its orders, in the order of their events; shared with the undo log.
    pub purchases: Option<Arc<Vec<Purchase>>>,
    /// Set while its hand-over is awaited.
    pub hold: Option<Box<Hold>>,
    /// How often it was handed over.
    pub hand_overs: u16,
}

impl Source {
    /// A source of which nothing is known.
    pub fn new(id: Id) -> Self {
        Self {
            id,
            sessions: SourceSessions::default(),
            visits: Visits::default(),
            touches: Touches::default(),
            purchases: None,
            hold: None,
            hand_overs: 0,
        }
    }

    /// Whether nothing is left of it.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
            && self.visits.is_empty()
            && self.touches.is_empty()
            && self.purchases.is_none()
            && self.hold.is_none()
    }

    /// All its closed sessions, those that are folded and those that are held.
    pub fn closed_visits(&self) -> Visits {
        let mut visits = self.visits;
        for session in self.sessions.list.iter().filter(|session| session.closed) {
            visits.add(session);
        }
        visits
    }

    /// Folds sessions that were taken out, for they can be amended no more.
    pub fn fold(&mut self, freed: &[Arc<Session>]) {
        for session in freed {
            self.visits.add(session);
        }
        self.touches.fold(freed);
    }

    /// When something of it is due. `ordered_at_ms` are the times of the person's orders.
    pub fn due_ms(&self, rules: &SourceRules, cx: &Context<'_>, ordered_at_ms: &[i64]) -> i64 {
        let sessions = sessions::next_due_ms(&self.sessions, &rules.sessions).unwrap_or_else(|| self.forgotten_ms());
        let touches = self.touches.due_ms(&rules.attribution, cx.watermark_ms, ordered_at_ms).map(end_of_day);
        let purchases = self.purchases_due_ms().map(|due_ms| cx.when_settled(due_ms));
        sessions.min(purchases.unwrap_or(UNARMED)).min(touches.unwrap_or(UNARMED))
    }

    /// When it is forgotten, unless it is seen again.
    fn forgotten_ms(&self) -> i64 {
        if self.visits.is_empty() {
            return UNARMED;
        }
        end_of_day(self.visits.last_seen_ms.saturating_add(VISITS_RETENTION_MS))
    }

    /// Gives up what nothing can revise any more and nobody asks for. Purchases have gone before: touches are kept for them.
    pub fn free(&mut self, rules: &SourceRules, watermark_ms: i64, ordered_at_ms: &[i64]) {
        self.touches.free(&rules.attribution, watermark_ms, ordered_at_ms);
        if self.sessions.is_empty() && watermark_ms > self.forgotten_ms() {
            self.visits = Visits::default();
        }
    }

    /// Notes an order or refund.
    pub fn add_purchase(&mut self, purchase: Purchase) {
        let list = Arc::make_mut(self.purchases.get_or_insert_default());
        let same = |known: &Purchase| known.order_id == purchase.order_id && known.refund_id == purchase.refund_id;
        if let Some(at) = list.iter().position(same) {
            let known = list.remove(at);
            let event_time_ms = known.event_time_ms.max(purchase.event_time_ms);
            return insert_by_time(list, Purchase { event_time_ms, ..known });
        }
        insert_by_time(list, purchase);
        if list.len() > PURCHASES_PER_SOURCE {
            list.remove(0);
        }
    }

    /// When the oldest purchase is given up.
    pub fn purchases_due_ms(&self) -> Option<i64> {
        let oldest = self.purchases.as_ref()?.first()?;
        Some(oldest.event_time_ms.saturating_add(ORDER_RETENTION_MS))
    }

    /// Gives up purchases that nothing can revise any more.
    pub(super) fn free_purchases(&mut self, settled_ms: i64) {
        if self.purchases_due_ms().is_none_or(|due| due >= settled_ms) {
            return;
        }
        let Some(list) = &mut self.purchases else { return };
        let list = Arc::make_mut(list);
        list.retain(|purchase| purchase.event_time_ms.saturating_add(ORDER_RETENTION_MS) >= settled_ms);
        if list.is_empty() {
            self.purchases = None;
        }
    }

    /// Time of its last event.
    fn last_seen_ms(&self) -> i64 {
        let held = self.sessions.list.iter().map(|session| session.last.time_ms).max();
        self.visits.last_seen_ms.max(held.unwrap_or(i64::MIN))
    }

    /// Bytes held, beyond this struct and without touches: sessions, purchases, held records.
    pub fn bytes(&self) -> (usize, usize, usize) {
        let purchases = self.purchases.as_ref().map_or(0, |list| {
            let texts = list.iter().flat_map(|purchase| [&purchase.order_id, &purchase.refund_id]).flatten();
            40 + list.capacity() * size_of::<Purchase>() + texts.map(|text| text.len()).sum::<usize>()
        });
        let held = self
            .hold
            .as_ref()
            .map_or(0, |hold| size_of::<Hold>() + hold.queue.capacity() * size_of::<Held>() + hold.bytes);
        (self.sessions.bytes(), purchases, held)
    }
}

fn insert_by_time(list: &mut Vec<Purchase>, purchase: Purchase) {
    let at = list.partition_point(|other| other.event_time_ms <= purchase.event_time_ms);
    // Most sources have one or none: no room is kept for more.
    list.reserve_exact(1);
    list.insert(at, purchase);
}

/// All sources of one person.
#[derive(Debug)]
pub struct Person {
    /// Due time of the next timer set: nothing of the person is due before.
    pub armed_ms: i64,
    /// Due time of another one set, later; so that closing a session does not set the freeing of an older one again and again.
    pub armed_later_ms: i64,
    /// Due time of a third one, last: that of those who rest, which is far away and else would be set anew after each visit.
    pub armed_last_ms: i64,
    /// The shop.
    pub site: Arc<str>,
    /// The user behind the person, once identified.
    pub user_id: Option<Arc<str>>,
    /// What customers alone have; shared with the undo log, so that an ordinary event does not copy it.
    pub trade: Option<Arc<Trade>>,
    /// Sources, in the order they came.
    pub sources: SmallVec<[Source; 1]>,
}

impl Clone for Person {
    /// A copy for the undo log, one an event at worst: by hand, because nearly everybody has one source.
    fn clone(&self) -> Self {
        let sources = match self.sources.as_slice() {
            [source] => SmallVec::from_buf([source.clone()]),
            sources => sources.iter().cloned().collect(),
        };
        Self {
            armed_ms: self.armed_ms,
            armed_later_ms: self.armed_later_ms,
            armed_last_ms: self.armed_last_ms,
            site: self.site.clone(),
            user_id: self.user_id.clone(),
            trade: self.trade.clone(),
            sources,
        }
    }
}

/// No timer is set.
pub const UNARMED: i64 = i64::MAX;

impl Person {
    /// A person of whom nothing is known.
    pub fn new(site: Arc<str>) -> Self {
        Self {
            armed_ms: UNARMED,
            armed_later_ms: UNARMED,
            armed_last_ms: UNARMED,
            site,
            user_id: None,
            trade: None,
            sources: SmallVec::new(),
        }
    }

    /// Whether nothing is left of the person.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.trade.is_none()
    }

    /// Notes the user behind the person; true where that is news.
    pub fn identify(&mut self, user_id: Option<&str>) -> bool {
        let news = user_id.filter(|user_id| self.user_id.as_deref() != Some(user_id));
        if let Some(user_id) = news {
            self.user_id = Some(Arc::from(user_id));
        }
        news.is_some()
    }

    /// A source for writing, made where there is none; `None` where there are too many and all of them wait for their hand-over.
    pub fn source_mut(&mut self, id: Id) -> Option<&mut Source> {
        if let Some(at) = self.sources.iter().position(|source| source.id == id) {
            return self.sources.get_mut(at);
        }
        if self.sources.len() >= SOURCES_PER_PERSON {
            let idle = self.sources.iter().enumerate().filter(|(_, source)| source.hold.is_none());
            let (at, _) = idle.min_by_key(|(_, source)| source.last_seen_ms())?;
            self.sources.remove(at);
        }
        self.sources.push(Source::new(id));
        self.sources.last_mut()
    }

    /// Whether another source makes room where `id` comes.
    pub fn is_crowded_by(&self, id: Id) -> bool {
        self.sources.len() >= SOURCES_PER_PERSON && self.sources.iter().all(|source| source.id != id)
    }

    /// Removes a source and returns it.
    pub fn take_source(&mut self, id: Id) -> Option<Source> {
        let at = self.sources.iter().position(|source| source.id == id)?;
        let source = self.sources.remove(at);
        self.sources.shrink_to_fit();
        Some(source)
    }
}
