//! The summary of any number of sessions of one source, in 56 bytes.

use millstream_schemas::purposes;

use super::codes::{channel, channel_code, device_class, device_class_code};
use crate::engagement;
use crate::propensity::History;
use crate::sessions::Session;
use crate::sessions::origin::Text;

/// Marks suspected automated traffic beside the purposes in `consent`.
const BOT: u8 = 0x80;
/// Likewise, that the latest scored session left a cart behind.
const LEFT_CART: u8 = 0x40;

/// What is known of sessions that are over. Counts, minima and maxima: in whatever order sessions are added, the result is the same.
/// Counts stay at their limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visits {
    /// Time of the first event, milliseconds UTC; `i64::MAX` where there is no session.
    pub first_seen_ms: i64,
    /// Time of the last event, milliseconds UTC; `i64::MIN` where there is no session.
    pub last_seen_ms: i64,
    /// Sessions.
    pub sessions: u32,
    /// Page views in them.
    pub page_views: u32,
    /// Engaged time in them, milliseconds.
    pub engaged_ms: u32,
    /// Sum of their engagement scores, hundredths of a point.
    pub engagement_hundredths: u32,
    /// Time of the last event of the session that `country` is of, seconds since 1970.
    pub(super) country_s: u32,
    pub(super) country: [u8; 2],
    /// What scores may know of them, packed; see [`Visits::history`].
    pub(super) scored_sessions: u16,
    pub(super) scored_orders: u16,
    pub(super) last_scored: u32,
    pub(super) last_scored_order: u32,
    pub(super) first_channel: u8,
    pub(super) last_channel: u8,
    pub(super) last_device_class: u8,
    pub(super) consent: u8,
}

const _: () = assert!(size_of::<Visits>() == 56);

impl Default for Visits {
    fn default() -> Self {
        Self {
            first_seen_ms: i64::MAX,
            last_seen_ms: i64::MIN,
            sessions: 0,
            page_views: 0,
            engaged_ms: 0,
            engagement_hundredths: 0,
            country_s: 0,
            country: [0; 2],
            scored_sessions: 0,
            scored_orders: 0,
            last_scored: 0,
            last_scored_order: 0,
            first_channel: 0,
            last_channel: 0,
            last_device_class: 0,
            consent: !(BOT | LEFT_CART),
        }
    }
}

/// Seconds since 1970; what lies outside stays at the limits.
fn seconds(time_ms: i64) -> u32 {
    u32::try_from(time_ms.max(0) / 1_000).unwrap_or(u32::MAX)
}

/// A time in seconds and one; 0 for none.
fn pack(time_ms: Option<i64>) -> u32 {
    time_ms.map_or(0, |time_ms| seconds(time_ms).saturating_add(1))
}

fn unpack(packed: u32) -> Option<i64> {
    packed.checked_sub(1).map(|seconds| i64::from(seconds) * 1_000)
}

impl Visits {
    /// The summary of one session.
    pub fn of(session: &Session) -> Self {
        let channel = session.channel.as_ref().and_then(|origin| origin.text(Text::Channel)).unwrap_or("none");
        let country = session.first.text(Text::Country).and_then(|code| <[u8; 2]>::try_from(code.as_bytes()).ok());
        let country = country.filter(|code| code.is_ascii());
        let mut visits = Self {
            first_seen_ms: session.first.order.time_ms,
            last_seen_ms: session.last.time_ms,
            sessions: 1,
            page_views: u32::try_from(session.page_views()).unwrap_or(u32::MAX),
            engaged_ms: u32::try_from(session.engaged_ms.max(0)).unwrap_or(u32::MAX),
            engagement_hundredths: u32::from(engagement::hundredths(session)),
            country_s: country.map_or(0, |_| seconds(session.last.time_ms)),
            country: country.unwrap_or_default(),
            first_channel: channel_code(channel),
            last_channel: channel_code(channel),
            last_device_class: device_class_code(session.first.text(Text::DeviceClass).unwrap_or("unknown")),
            consent: (session.consent & !(BOT | LEFT_CART)) | if session.is_bot { BOT } else { 0 },
            ..Self::default()
        };
        let mut history = History::default();
        history.add(&session.activity);
        visits.set_history(&history);
        visits
    }

    /// What scores may know of the sessions.
    pub fn history(&self) -> History {
        History {
            sessions: u32::from(self.scored_sessions),
            orders: u32::from(self.scored_orders),
            last_session_ms: unpack(self.last_scored),
            last_order_ms: unpack(self.last_scored_order),
            left_cart: self.consent & LEFT_CART != 0,
        }
    }

    fn set_history(&mut self, history: &History) {
        self.scored_sessions = u16::try_from(history.sessions).unwrap_or(u16::MAX);
        self.scored_orders = u16::try_from(history.orders).unwrap_or(u16::MAX);
        self.last_scored = pack(history.last_session_ms);
        self.last_scored_order = pack(history.last_order_ms);
        self.consent = (self.consent & !LEFT_CART) | if history.left_cart { LEFT_CART } else { 0 };
    }

    /// Adds a session.
    pub fn add(&mut self, session: &Session) {
        self.absorb(&Self::of(session));
    }

    /// Adds other sessions. Ties in time are broken by the values themselves, so that the order of adding does not show.
    pub fn absorb(&mut self, other: &Self) {
        let first = |visits: &Self| (visits.first_seen_ms, visits.first_channel);
        if first(other) < first(self) {
            self.first_channel = other.first_channel;
        }
        let last = |visits: &Self| (visits.last_seen_ms, visits.last_channel, visits.last_device_class);
        if last(other) > last(self) {
            (self.last_channel, self.last_device_class) = (other.last_channel, other.last_device_class);
        }
        let place = |visits: &Self| (visits.country_s, visits.country);
        (self.country_s, self.country) = place(self).max(place(other));
        self.first_seen_ms = self.first_seen_ms.min(other.first_seen_ms);
        self.last_seen_ms = self.last_seen_ms.max(other.last_seen_ms);
        self.sessions = self.sessions.saturating_add(other.sessions);
        self.page_views = self.page_views.saturating_add(other.page_views);
        self.engaged_ms = self.engaged_ms.saturating_add(other.engaged_ms);
        self.engagement_hundredths = self.engagement_hundredths.saturating_add(other.engagement_hundredths);
        let mut history = self.history();
        history.absorb(&other.history());
        self.consent = (self.consent & other.consent & !BOT) | ((self.consent | other.consent) & BOT);
        self.set_history(&history);
    }

    /// Whether it is of no session.
    pub fn is_empty(&self) -> bool {
        self.sessions == 0
    }

    /// Channel of the first session; `none` where it has none.
    pub fn first_channel(&self) -> &'static str {
        channel(self.first_channel)
    }

    /// Channel of the latest session.
    pub fn last_channel(&self) -> &'static str {
        channel(self.last_channel)
    }

    /// Device class of the latest session.
    pub fn last_device_class(&self) -> &'static str {
        device_class(self.last_device_class)
    }

    /// Country of the latest session that has one, where it is a code of two letters.
    pub fn country(&self) -> Option<&str> {
        std::str::from_utf8(&self.country).ok().filter(|_| self.country != [0; 2])
    }

    /// Purposes that all sessions allow.
    pub fn consent(&self) -> i32 {
        i32::from(self.consent) & purposes::ALL
    }

    /// Whether any session is suspected to be automated.
    pub fn is_bot(&self) -> bool {
        self.consent & BOT != 0
    }

    /// Mean engagement score of the sessions, 0 to 100; 0 where there is none.
    pub fn engagement_score(&self) -> f64 {
        if self.is_empty() {
            return 0.0;
        }
        f64::from(self.engagement_hundredths) / f64::from(self.sessions) / 100.0
    }
}
