//! What was before a session: earlier sessions of the same source, summed up.
//!
//! Of a *source*, not of a person: a source's events lie in one order in one partition, so that what was before a session depends on
//! the events alone, not on when another device's partition was read. Whoever holds the state adds to it the sessions that can change
//! no more ([`History::add`]); those that still can are added when a score is made.

use millstream_scoring::{Feature, Features};

use super::Activity;

const DAY_MS: f32 = 86_400_000.0;
/// Longer ago than this is all the same, days.
const SESSION_DAYS_MAX: f32 = 90.0;
/// Longer ago than this is all the same, days.
const ORDER_DAYS_MAX: f32 = 365.0;

/// Earlier sessions, summed up. Sums and maxima: in whatever order they are added, the result is the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct History {
    /// Sessions in which something was scored.
    pub sessions: u32,
    /// Orders in them.
    pub orders: u32,
    /// The end of the latest, milliseconds UTC in whole seconds.
    pub last_session_ms: Option<i64>,
    /// The end of the latest with an order, milliseconds UTC in whole seconds.
    pub last_order_ms: Option<i64>,
    /// Whether the latest left a cart behind.
    pub left_cart: bool,
}

impl History {
    /// Adds an earlier session. One in which nothing was scored is not seen: it may not be used.
    pub fn add(&mut self, session: &Activity) {
        if session.is_empty() {
            return;
        }
        // Whole seconds: what is kept of freed sessions is no finer, and a score may not show whether one has been freed yet.
        let last_ms = Some(session.last_ms.div_euclid(1_000) * 1_000);
        let orders = session.orders.count_ones();
        self.absorb(&Self {
            sessions: 1,
            orders,
            last_session_ms: last_ms,
            last_order_ms: last_ms.filter(|_| orders > 0),
            left_cart: session.left_cart(),
        });
    }

    /// Adds what is known from elsewhere.
    pub fn absorb(&mut self, other: &Self) {
        self.sessions = self.sessions.saturating_add(other.sessions);
        self.orders = self.orders.saturating_add(other.orders);
        self.left_cart = match self.last_session_ms.cmp(&other.last_session_ms) {
            std::cmp::Ordering::Less => other.left_cart,
            std::cmp::Ordering::Equal => self.left_cart | other.left_cart,
            std::cmp::Ordering::Greater => self.left_cart,
        };
        self.last_session_ms = self.last_session_ms.max(other.last_session_ms);
        self.last_order_ms = self.last_order_ms.max(other.last_order_ms);
    }

    /// Sets the features of a session that began at `first_ms`.
    pub fn fill(history: Option<&Self>, first_ms: i64, features: &mut Features) {
        let days = |since_ms: Option<i64>, at_most: f32| {
            let ago = |since_ms: i64| first_ms.saturating_sub(since_ms).max(0) as f32 / DAY_MS;
            since_ms.map_or(f32::NAN, |since_ms| ago(since_ms).min(at_most))
        };
        let known = |value: fn(&Self) -> f32| history.map_or(f32::NAN, value);
        let last = history.and_then(|history| history.last_session_ms);
        let left_cart = history.filter(|_| last.is_some()).map(|history| f32::from(u8::from(history.left_cart)));
        features.set(Feature::PriorSessions, known(|history| history.sessions as f32));
        features.set(Feature::PriorOrders, known(|history| history.orders as f32));
        features.set(Feature::DaysSinceSession, days(last, SESSION_DAYS_MAX));
        features.set(Feature::DaysSinceOrder, days(history.and_then(|history| history.last_order_ms), ORDER_DAYS_MAX));
        features.set(Feature::LeftCart, left_cart.unwrap_or(f32::NAN));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn session((last_ms, orders, cart_adds, events): (i64, u32, u16, u32)) -> Activity {
        Activity { first_ms: last_ms, last_ms, orders, cart_adds, events, ..Activity::default() }
    }

    proptest! {
        /// However the sessions before were gathered, the sum is the same.
        #[test]
        fn the_order_of_adding_does_not_matter(
            told in prop::collection::vec((0..5i64, 0..4u32, 0..2u16, 0..3u32), 0..8),
            cut in 0..8usize,
        ) {
            let sum = |sessions: &[(i64, u32, u16, u32)]| {
                let mut history = History::default();
                sessions.iter().for_each(|told| history.add(&session(*told)));
                history
            };
            let whole = sum(&told);
            let cut = cut.min(told.len());
            let mut joined = sum(&told[cut..]);
            joined.absorb(&sum(&told[..cut]));
            prop_assert_eq!(joined, whole);
            prop_assert_eq!(whole.sessions as usize, told.iter().filter(|told| told.3 > 0).count());
        }
    }

    #[test]
    fn unknown_and_none_are_different() {
        let of = |history: Option<&History>| {
            let mut features = Features::default();
            History::fill(history, 10 * 86_400_000, &mut features);
            [
                Feature::PriorSessions,
                Feature::PriorOrders,
                Feature::DaysSinceSession,
                Feature::DaysSinceOrder,
                Feature::LeftCart,
            ]
            .map(|feature| features.get(feature))
        };
        assert!(of(None).iter().all(|value| value.is_nan()));
        let none = of(Some(&History::default()));
        assert_eq!(none[..2], [0.0, 0.0]);
        assert!(none[2..].iter().all(|value| value.is_nan()));
        let mut history = History::default();
        history.add(&session((86_400_000, 1, 0, 3)));
        history.add(&session((8 * 86_400_000, 0, 2, 3)));
        assert_eq!(of(Some(&history)), [2.0, 1.0, 2.0, 9.0, 1.0]);
        let long_ago = History { last_order_ms: Some(-400 * 86_400_000), ..history };
        assert_eq!(of(Some(&long_ago))[3], 365.0);
    }
}
