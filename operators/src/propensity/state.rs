//! What the score is made of: a summary of the informative events that allow personalization.

use millstream_schemas::{Event, purposes};
use millstream_scoring::{Feature, Features};

use super::History;
use super::classes::{channel_bit, device_bit, level};
use crate::core::EventKind;

/// Informative events of one session. It counts only events whose consent has the personalization bit, so that no other event has
/// any influence on a score. Counts, minima, maxima and sets of bits: whatever the order of arrival, the result is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Activity {
    /// Time of the first, milliseconds UTC.
    pub first_ms: i64,
    /// Time of the last, milliseconds UTC.
    pub last_ms: i64,
    /// Products viewed: each sets the bit that its hash names. Of ten products nine or ten bits are set.
    pub products: u64,
    /// Orders placed, likewise.
    pub orders: u32,
    /// Events.
    pub events: u32,
    /// Page views.
    pub page_views: u16,
    /// Product views.
    pub product_views: u16,
    /// List views.
    pub list_views: u16,
    /// Searches.
    pub searches: u16,
    /// Additions to the cart.
    pub cart_adds: u16,
    /// Removals from the cart.
    pub cart_removes: u16,
    /// Checkout steps.
    pub checkout_steps: u16,
    /// Channels seen, a bit for each class.
    pub channels: u16,
    /// Classes of devices seen, a bit for each.
    pub devices: u8,
    /// Deepest point of the funnel.
    pub funnel_depth: u8,
    /// Purposes that all of them allow.
    pub consent: u8,
    /// Whether any of them is suspected to be automated.
    pub is_bot: bool,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            first_ms: i64::MAX,
            last_ms: i64::MIN,
            products: 0,
            orders: 0,
            events: 0,
            page_views: 0,
            product_views: 0,
            list_views: 0,
            searches: 0,
            cart_adds: 0,
            cart_removes: 0,
            checkout_steps: 0,
            channels: 0,
            devices: 0,
            funnel_depth: 0,
            consent: u8::MAX,
            is_bot: false,
        }
    }
}

/// Whether an event reaches this operator.
pub fn reaches(event: &Event<'_>, kind: EventKind) -> bool {
    kind.is_informative() && event.consent & purposes::PERSONALIZATION != 0
}

impl Activity {
    /// Whether no event has reached it: there is nothing to score.
    pub fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// Adds an event, if it reaches this operator.
    pub fn add(&mut self, event: &Event<'_>, kind: EventKind) {
        if !reaches(event, kind) {
            return;
        }
        self.first_ms = self.first_ms.min(event.event_time);
        self.last_ms = self.last_ms.max(event.event_time);
        self.events = self.events.saturating_add(1);
        let counter = match kind {
            EventKind::PageView => Some(&mut self.page_views),
            EventKind::ProductView => Some(&mut self.product_views),
            EventKind::ListView => Some(&mut self.list_views),
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
            EventKind::ProductView => {
                if let Some(product) = event.product_id {
                    self.products |= 1 << (hash(product) & 63);
                }
            }
            // One that names no order is an order of its own.
            EventKind::Purchase => self.orders |= 1 << (hash(event.order_id.unwrap_or(event.event_id)) & 31),
            _ => {}
        }
        self.channels |= channel_bit(event.channel);
        self.devices |= device_bit(event.device_class);
        self.funnel_depth = self.funnel_depth.max(kind.funnel_depth());
        // Four purposes fit.
        self.consent &= event.consent as u8;
        self.is_bot |= event.is_bot;
    }

    /// Merges another session's activity into this one.
    pub fn absorb(&mut self, other: &Self) {
        self.first_ms = self.first_ms.min(other.first_ms);
        self.last_ms = self.last_ms.max(other.last_ms);
        self.events = self.events.saturating_add(other.events);
        for (counter, more) in [
            (&mut self.page_views, other.page_views),
            (&mut self.product_views, other.product_views),
            (&mut self.list_views, other.list_views),
            (&mut self.searches, other.searches),
            (&mut self.cart_adds, other.cart_adds),
            (&mut self.cart_removes, other.cart_removes),
            (&mut self.checkout_steps, other.checkout_steps),
        ] {
            *counter = counter.saturating_add(more);
        }
        self.products |= other.products;
        self.orders |= other.orders;
        self.channels |= other.channels;
        self.devices |= other.devices;
        self.funnel_depth = self.funnel_depth.max(other.funnel_depth);
        self.consent &= other.consent;
        self.is_bot |= other.is_bot;
    }

    /// Whether something was put into the cart and not ordered.
    pub fn left_cart(&self) -> bool {
        self.orders == 0 && self.cart_adds > self.cart_removes
    }

    /// The features, as a model sees them. `history` is what was before this session; `None` where it is not known.
    pub fn features(&self, history: Option<&History>) -> Features {
        let mut features = Features::default();
        let active_ms = if self.is_empty() { 0 } else { self.last_ms.saturating_sub(self.first_ms) };
        let active_seconds = (active_ms / 1_000) as f32;
        let products = self.products.count_ones().min(u32::from(self.product_views));
        let seconds_per_event = if self.events > 1 { active_seconds / (self.events - 1) as f32 } else { f32::NAN };
        for (feature, value) in [
            // Beyond 2²⁴ a float counts in larger steps; no model cares.
            (Feature::Events, self.events as f32),
            (Feature::PageViews, f32::from(self.page_views)),
            (Feature::ProductViews, f32::from(self.product_views)),
            (Feature::ListViews, f32::from(self.list_views)),
            (Feature::Searches, f32::from(self.searches)),
            (Feature::CartAdds, f32::from(self.cart_adds)),
            (Feature::CartRemoves, f32::from(self.cart_removes)),
            (Feature::CheckoutSteps, f32::from(self.checkout_steps)),
            (Feature::FunnelDepth, f32::from(self.funnel_depth)),
            (Feature::ActiveMinutes, active_seconds / 60.0),
            (Feature::Purchases, self.orders.count_ones() as f32),
            (Feature::Products, products as f32),
            (Feature::RepeatViews, (u32::from(self.product_views) - products) as f32),
            (Feature::CartBalance, f32::from(self.cart_adds) - f32::from(self.cart_removes)),
            (Feature::SecondsPerEvent, seconds_per_event),
            (Feature::Channel, level(u32::from(self.channels))),
            (Feature::Device, level(u32::from(self.devices))),
        ] {
            features.set(feature, value);
        }
        History::fill(history, self.first_ms, &mut features);
        features
    }
}

fn hash(text: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(text.as_bytes())
}
