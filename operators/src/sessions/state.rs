//! A session as a summary that events are added to and that another summary can be merged into, in any order.

use std::sync::Arc;

use millstream_schemas::{Event, Id};
use smallvec::SmallVec;

use super::origin::{Origin, Text};
use crate::core::limits::{ADDRESS_BYTES, ORDERS_PER_SESSION, PAGE_VIEWS_PER_SESSION, clip};
use crate::core::{EventKind, EventOrder};
use crate::propensity::Activity;

/// An event on its way into the sessions of its source.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The event.
    pub event: &'a Event<'a>,
    /// Its place.
    pub order: EventOrder,
    /// Its kind.
    pub kind: EventKind,
    /// Its source.
    pub source: Id,
}

/// An order within a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionOrder {
    /// hash(order id).
    pub order_id: u64,
    /// The event that told of it last.
    pub told_by: EventOrder,
    /// Its revenue in minor units.
    pub amount_minor: i64,
    /// ISO 4217 code.
    pub currency: [u8; 3],
}

/// One session of a source. Every field is a count, a minimum or a maximum by event order, or a set: adding and merging commute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// hash(source, first event) or hash(source, the tracker's session id).
    pub id: Id,
    /// The first event.
    pub first: Arc<Origin>,
    /// The first event with a page.
    pub entry: Option<Arc<Origin>>,
    /// The first event with a channel.
    pub channel: Option<Arc<Origin>>,
    /// The first event with a tracker session id.
    pub tracker: Option<Arc<Origin>>,
    /// The last event.
    pub last: EventOrder,
    /// The last event with a page.
    pub exit_order: EventOrder,
    /// Its page.
    pub exit_page: Option<Arc<str>>,
    /// Page view ids seen, hashed, sorted.
    pub page_view_ids: SmallVec<[u64; 4]>,
    /// Orders, sorted by id.
    pub orders: Vec<SessionOrder>,
    /// What the score is made of.
    pub activity: Activity,
    /// hash of the campaign that began it; 0 for none. Only where campaigns split sessions.
    pub campaign: u64,
    /// Engaged time, milliseconds.
    pub engaged_ms: i64,
    /// Events.
    pub events: u32,
    /// Page views without id, or beyond the limit of ids.
    pub page_views_without_id: u32,
    /// Product views.
    pub product_views: u32,
    /// Searches.
    pub searches: u32,
    /// Additions to the cart.
    pub cart_adds: u32,
    /// Removals from the cart.
    pub cart_removes: u32,
    /// Checkout steps.
    pub checkout_steps: u32,
    /// Deepest scroll, percent.
    pub scroll_depth_pct: u8,
    /// Deepest point of the funnel.
    pub funnel_depth: u8,
    /// Purposes that all of its events allow.
    pub consent: u8,
    /// Whether any of its events is suspected to be automated.
    pub is_bot: bool,
    /// Whether the tracker's session id makes it, and no gap ends it.
    pub by_tracker: bool,
    /// Whether it has been closed.
    pub closed: bool,
}

impl Session {
    /// A session of one event.
    pub fn of(seen: &Seen<'_>, by_tracker: bool) -> Self {
        let origin = Arc::new(Origin::of(seen.event, seen.order));
        let mut session = Self {
            id: Self::id_of(seen, by_tracker),
            first: origin,
            entry: None,
            channel: None,
            tracker: None,
            last: seen.order,
            exit_order: EventOrder::default(),
            exit_page: None,
            page_view_ids: SmallVec::new(),
            orders: Vec::new(),
            activity: Activity::default(),
            campaign: campaign_of(seen.event),
            engaged_ms: 0,
            events: 0,
            page_views_without_id: 0,
            product_views: 0,
            searches: 0,
            cart_adds: 0,
            cart_removes: 0,
            checkout_steps: 0,
            scroll_depth_pct: 0,
            funnel_depth: 0,
            consent: u8::MAX,
            is_bot: false,
            by_tracker,
            closed: false,
        };
        session.add(seen);
        session
    }

    /// The id of a session that begins with an event.
    pub fn id_of(seen: &Seen<'_>, by_tracker: bool) -> Id {
        let source = seen.source.0.to_be_bytes();
        match seen.event.tracker_session_id {
            Some(tracker) if by_tracker => tracker_session_id(seen.source, tracker),
            _ => Id::of(&[&source, seen.event.event_id.as_bytes()]),
        }
    }

    /// Adds an event. One that comes before the first makes the session another one: its id changes (not with the tracker's ids).
    pub fn add(&mut self, seen: &Seen<'_>) {
        let Seen { event, order, .. } = *seen;
        let has_channel = !matches!(event.channel, "" | "none");
        let is_first = order < self.first.order;
        let is_entry = event.page_url.is_some() && earlier(&self.entry, order);
        let is_channel = has_channel && earlier(&self.channel, order);
        let is_tracker = event.tracker_session_id.is_some() && earlier(&self.tracker, order);
        if is_first || is_entry || is_channel || is_tracker {
            let origin =
                if order == self.first.order { self.first.clone() } else { Arc::new(Origin::of(event, order)) };
            if is_entry {
                self.entry = Some(origin.clone());
            }
            if is_channel {
                self.channel = Some(origin.clone());
            }
            if is_tracker {
                self.tracker = Some(origin.clone());
            }
            if is_first {
                self.first = origin;
                self.id = Self::id_of(seen, self.by_tracker);
                self.campaign = campaign_of(event);
            }
        }
        if let Some(page) = event.page_url
            && (self.exit_page.is_none() || order > self.exit_order)
        {
            let page = clip(page, ADDRESS_BYTES);
            self.exit_order = order;
            if self.exit_page.as_deref() != Some(page) {
                self.exit_page = Some(Arc::from(page));
            }
        }
        self.last = self.last.max(order);
        self.count(seen);
    }

    fn count(&mut self, seen: &Seen<'_>) {
        let Seen { event, order, kind, .. } = *seen;
        self.events = self.events.saturating_add(1);
        let counter = match kind {
            EventKind::ProductView => Some(&mut self.product_views),
            EventKind::Search => Some(&mut self.searches),
            EventKind::AddToCart => Some(&mut self.cart_adds),
            EventKind::RemoveFromCart => Some(&mut self.cart_removes),
            EventKind::CheckoutStep => Some(&mut self.checkout_steps),
            _ => None,
        };
        if let Some(counter) = counter {
            *counter = counter.saturating_add(1);
        }
        match kind {
            EventKind::PageView => self.count_page_view(event.page_view_id.map(hash)),
            EventKind::Purchase => self.count_order(event, order),
            _ => {}
        }
        self.funnel_depth = self.funnel_depth.max(kind.funnel_depth());
        self.engaged_ms = self.engaged_ms.saturating_add(event.engaged_ms.unwrap_or(0).max(0));
        // Clamped to 0..=100 before the cast.
        self.scroll_depth_pct = self.scroll_depth_pct.max(event.scroll_depth_pct.unwrap_or(0).clamp(0, 100) as u8);
        // Four purposes fit.
        self.consent &= event.consent as u8;
        self.is_bot |= event.is_bot;
        self.activity.add(event, kind);
    }

    fn count_page_view(&mut self, id: Option<u64>) {
        if let Some(id) = id {
            match self.page_view_ids.binary_search(&id) {
                Ok(_) => return,
                Err(at) if self.page_view_ids.len() < PAGE_VIEWS_PER_SESSION => {
                    self.page_view_ids.insert(at, id);
                    return;
                }
                Err(_) => {}
            }
        }
        self.page_views_without_id = self.page_views_without_id.saturating_add(1);
    }

    fn count_order(&mut self, event: &Event<'_>, told_by: EventOrder) {
        let (Some(order_id), Some(amount_minor)) = (event.order_id, event.amount_minor) else { return };
        let currency = event.currency.and_then(|code| code.as_bytes().try_into().ok()).unwrap_or(*b"XXX");
        self.merge_order(SessionOrder { order_id: hash(order_id), told_by, amount_minor, currency });
    }

    fn merge_order(&mut self, order: SessionOrder) {
        match self.orders.binary_search_by_key(&order.order_id, |known| known.order_id) {
            Ok(at) => {
                if let Some(known) = self.orders.get_mut(at).filter(|known| known.told_by < order.told_by) {
                    *known = order;
                }
            }
            Err(at) if self.orders.len() < ORDERS_PER_SESSION => self.orders.insert(at, order),
            Err(_) => {}
        }
    }

    /// Merges another session of the same source into this one.
    pub fn absorb(&mut self, other: &Self) {
        if other.first.order < self.first.order {
            self.first = other.first.clone();
            self.id = other.id;
            self.campaign = other.campaign;
        }
        absorb_first(&mut self.entry, &other.entry);
        absorb_first(&mut self.channel, &other.channel);
        absorb_first(&mut self.tracker, &other.tracker);
        self.last = self.last.max(other.last);
        if other.exit_page.is_some() && (self.exit_page.is_none() || other.exit_order > self.exit_order) {
            self.exit_order = other.exit_order;
            self.exit_page = other.exit_page.clone();
        }
        for &id in &other.page_view_ids {
            self.count_page_view(Some(id));
        }
        for &order in &other.orders {
            self.merge_order(order);
        }
        self.activity.absorb(&other.activity);
        self.engaged_ms = self.engaged_ms.saturating_add(other.engaged_ms);
        for (counter, more) in [
            (&mut self.events, other.events),
            (&mut self.page_views_without_id, other.page_views_without_id),
            (&mut self.product_views, other.product_views),
            (&mut self.searches, other.searches),
            (&mut self.cart_adds, other.cart_adds),
            (&mut self.cart_removes, other.cart_removes),
            (&mut self.checkout_steps, other.checkout_steps),
        ] {
            *counter = counter.saturating_add(more);
        }
        self.scroll_depth_pct = self.scroll_depth_pct.max(other.scroll_depth_pct);
        self.funnel_depth = self.funnel_depth.max(other.funnel_depth);
        self.consent &= other.consent;
        self.is_bot |= other.is_bot;
    }

    /// Page views, each id once.
    pub fn page_views(&self) -> i64 {
        self.page_view_ids.len() as i64 + i64::from(self.page_views_without_id)
    }

    /// Revenue in minor units and its currency, which is that of the earliest order; orders in another one are not in it.
    pub fn revenue(&self) -> (i64, Option<&str>) {
        let Some(earliest) = self.orders.iter().min_by_key(|order| order.told_by) else { return (0, None) };
        let same = self.orders.iter().filter(|order| order.currency == earliest.currency);
        let sum = same.fold(0i64, |sum, order| sum.saturating_add(order.amount_minor));
        (sum, std::str::from_utf8(&earliest.currency).ok())
    }

    /// Device id of the first event.
    pub fn device_id(&self) -> Option<&str> {
        self.first.text(Text::DeviceId)
    }

    /// Bytes held, with what it refers to.
    pub fn bytes(&self) -> usize {
        let mut bytes = 16 + size_of::<Self>() + self.first.bytes();
        for origin in [&self.entry, &self.channel, &self.tracker].into_iter().flatten() {
            if !Arc::ptr_eq(origin, &self.first) {
                bytes += origin.bytes();
            }
        }
        bytes += self.exit_page.as_ref().map_or(0, |page| 16 + page.len());
        let spilled = if self.page_view_ids.spilled() { self.page_view_ids.capacity() * 8 } else { 0 };
        bytes + spilled + self.orders.capacity() * size_of::<SessionOrder>()
    }
}

/// The id of the session that the tracker calls `tracker_session_id`.
pub fn tracker_session_id(source: Id, tracker_session_id: &str) -> Id {
    Id::of(&[&source.0.to_be_bytes(), b"tracker", tracker_session_id.as_bytes()])
}

fn earlier(known: &Option<Arc<Origin>>, order: EventOrder) -> bool {
    known.as_ref().is_none_or(|origin| order < origin.order)
}

fn absorb_first(mine: &mut Option<Arc<Origin>>, other: &Option<Arc<Origin>>) {
    if let Some(origin) = other.as_ref().filter(|origin| earlier(mine, origin.order)) {
        *mine = Some(origin.clone());
    }
}

fn hash(text: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(text.as_bytes())
}

/// hash of an event's campaign; 0 where it names none.
fn campaign_of(event: &Event<'_>) -> u64 {
    let parts = [event.utm_source, event.utm_medium, event.utm_campaign, event.click_id_kind];
    if parts.iter().all(Option::is_none) {
        return 0;
    }
    let parts = parts.map(|part| part.unwrap_or_default().as_bytes());
    // Folded to 64 bits; 0 means none.
    (Id::of(&parts).0 as u64).max(1)
}
