//! The touches that a source (or, of those that name an order, a person) remembers, packed into one allocation.

use std::sync::Arc;

use millstream_schemas::OrderFact;

use super::Rules;
use super::touch::{Touch, offline_touch_id, order_key};
use crate::core::StateError;
use crate::core::limits::{BUYER_RETENTION_MS, SLACK_MS, TOUCHES_BYTES_PER_SOURCE};
use crate::sessions::Session;

/// Touches in the order of their times and ids, one after the other. Shared with the undo log: a copy costs a counter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touches(Option<Arc<[u8]>>);

/// Reads touches one after the other.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl<'a> Iter<'a> {
    /// The touches in `bytes`.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Touch<'a>;

    fn next(&mut self) -> Option<Touch<'a>> {
        let (touch, rest) = Touch::decode(self.rest)?;
        self.rest = rest;
        Some(touch)
    }
}

impl Touches {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The touches.
    pub fn iter(&self) -> Iter<'_> {
        Iter::new(self.as_bytes())
    }

    /// Their encoding, for a hand-over; empty where there is none.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Reads an encoding.
    ///
    /// # Errors
    /// Where it cannot be read to its end, is out of order or too long.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        let mut iter = Iter::new(bytes);
        let in_order = iter.by_ref().map(|touch| touch.place()).is_sorted();
        if !iter.rest.is_empty() || !in_order || bytes.len() > TOUCHES_BYTES_PER_SOURCE {
            return Err(StateError::impossible(format!(
                "touches that cannot be read to their end, are out of order or more than {TOUCHES_BYTES_PER_SOURCE} bytes"
            )));
        }
        Ok(Self((!bytes.is_empty()).then(|| Arc::from(bytes))))
    }

    /// Remembers a touch. The oldest make room.
    pub fn add(&mut self, touch: &Touch<'_>) {
        let mut encoded = Vec::new();
        touch.encode(&mut encoded);
        // As it will be read: texts clipped, time within limits.
        let Some((touch, _)) = Touch::decode(&encoded) else { return };
        let old = self.as_bytes();
        let (mut at, mut end) = (old.len(), old.len());
        let mut iter = self.iter();
        loop {
            let begin = old.len() - iter.rest.len();
            let Some(known) = iter.next() else { break };
            if known.place() < touch.place() {
                continue;
            }
            (at, end) = (begin, begin);
            if known.place() == touch.place() {
                end = old.len() - iter.rest.len();
                // Of two tellings the greater, so that it does not matter which came first.
                if old.get(begin..end).is_some_and(|known| known >= encoded.as_slice()) {
                    return;
                }
            }
            break;
        }
        let (before, after) = (old.get(..at).unwrap_or_default(), old.get(end..).unwrap_or_default());
        let mut packed = Vec::with_capacity(before.len() + encoded.len() + after.len());
        packed.extend_from_slice(before);
        packed.extend_from_slice(&encoded);
        packed.extend_from_slice(after);
        self.replace(packed.as_slice());
    }

    /// Remembers the touches of sessions that were freed.
    pub fn fold(&mut self, freed: &[Arc<Session>]) {
        for touch in freed.iter().filter_map(|session| Touch::of_session(session)) {
            self.add(&touch);
        }
    }

    /// Takes in what an order tells of a touch that names it: that it is, that it is no longer the person's, or that the order is not.
    pub fn tell(&mut self, fact: &OrderFact<'_>) {
        match (fact.kind, Touch::of_fact(fact)) {
            ("touch", Some(touch)) => self.add(&touch),
            ("touch_gone", _) => {
                let gone = offline_touch_id(fact.site, fact.event_id);
                self.remove(|touch| touch.id == gone && touch.order == fact.order_id.map(order_key));
            }
            ("order_gone", _) => self.remove(|touch| touch.order == fact.order_id.map(order_key)),
            _ => {}
        }
    }

    /// Joins what two states of one source remember.
    pub fn combine(&mut self, other: &Self) {
        if self.is_empty() {
            self.0.clone_from(&other.0);
            return;
        }
        for touch in other.iter() {
            self.add(&touch);
        }
    }

    /// Forgets the touches that a predicate names.
    pub fn remove(&mut self, gone: impl Fn(&Touch<'_>) -> bool) {
        if self.iter().all(|touch| !gone(&touch)) {
            return;
        }
        let mut packed = Vec::new();
        for touch in self.iter().filter(|touch| !gone(touch)) {
            touch.encode(&mut packed);
        }
        self.replace(&packed);
    }

    /// When there is something to free, for what [`free`](Self::free) has left at this watermark: when the youngest has served, or, where
    /// only orders keep them, when the last of those goes. `None` where there is nothing to wait for.
    pub fn due_ms(&self, rules: &Rules, watermark_ms: i64, ordered_at_ms: &[i64]) -> Option<i64> {
        let served_ms = expires_at_ms(&self.iter().last()?, rules);
        let kept_ms = ordered_at_ms.iter().max().map(|order| order.saturating_add(BUYER_RETENTION_MS));
        [Some(served_ms), kept_ms].into_iter().flatten().filter(|&due_ms| due_ms >= watermark_ms).min()
    }

    /// Forgets touches too old for any order to come, but for those that led to one of the orders at `ordered_at_ms`: as long as
    /// those are in the list, they can be refunded and their path is needed.
    pub fn free(&mut self, rules: &Rules, watermark_ms: i64, ordered_at_ms: &[i64]) {
        self.remove(|touch| {
            let led_to = |order: &i64| *order >= touch.at_ms && order.saturating_sub(touch.at_ms) <= rules.lookback_ms;
            watermark_ms > expires_at_ms(touch, rules) && !ordered_at_ms.iter().any(led_to)
        });
    }

    /// Whether the next touch may take the place of an old one.
    pub fn is_full(&self) -> bool {
        const LONGEST: usize = super::touch::TOUCH_BYTES + 8 + 4 * (1 + super::touch::TOUCH_TEXT_BYTES);
        self.as_bytes().len() + LONGEST > TOUCHES_BYTES_PER_SOURCE
    }

    /// Bytes held, beyond this struct.
    pub fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |packed| 16 + packed.len())
    }

    fn replace(&mut self, packed: &[u8]) {
        let mut kept = packed;
        while kept.len() > TOUCHES_BYTES_PER_SOURCE {
            let Some((_, rest)) = Touch::decode(kept) else { break };
            kept = rest;
        }
        self.0 = (!kept.is_empty()).then(|| Arc::from(kept));
    }
}

fn expires_at_ms(touch: &Touch<'_>, rules: &Rules) -> i64 {
    touch.at_ms.saturating_add(rules.lookback_ms).saturating_add(rules.horizon_ms).saturating_add(SLACK_MS)
}
