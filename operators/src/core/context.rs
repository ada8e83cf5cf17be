//! What an operator knows of the record at hand, and where its results go.

use millstream_schemas::input::Reason;
use millstream_schemas::{
    Attribution, Churn, Clv, Engagement, HandOver, Id, Order, OrderEntry, OrderFact, OrderLine, Profile, Propensity,
    Refund, RefundLine, RefundMatch, Session, revision,
};

use super::limits::FEEDBACK_SLACK_MS;
use super::watermark::UNKNOWN_MS;

/// The input record that causes a change.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Its offset in the task's input partition.
    pub offset: u64,
    /// The task's watermark, milliseconds UTC.
    pub watermark_ms: i64,
    /// The time up to which all has come that other partitions send because of what they were sent, more or less: what they tell is
    /// older than this by less than [`FEEDBACK_SLACK_MS`](super::limits::FEEDBACK_SLACK_MS), in event time of what it follows from. It
    /// is the watermark, unless history waits in the log: then it is behind. What their telling revises is not given up before.
    /// Milliseconds UTC.
    pub settled_ms: i64,
    /// The event time it speaks of: the event's, or a timer's due time.
    pub event_time_ms: i64,
    /// Id of the event; empty for a timer.
    pub source_event: &'a str,
}

impl Context<'_> {
    /// The revision of what this record changes. A count or offset beyond the limits stays at the limit: no input has 2⁴⁸ records,
    /// no source 32,767 owners.
    pub fn revision(&self, hand_overs: u16) -> i64 {
        let offset = i64::try_from(self.offset).unwrap_or(revision::MAX_OFFSET).min(revision::MAX_OFFSET);
        revision::compose(hand_overs.min(revision::MAX_HAND_OVERS), offset).unwrap_or(i64::MAX)
    }

    /// When to look again for what is given up when [`settled_ms`](Self::settled_ms) has passed `due_ms`: timers go by the watermark,
    /// and where it is ahead, a look at each of its steps would be in vain.
    pub fn when_settled(&self, due_ms: i64) -> i64 {
        let is_in_vain = (self.settled_ms..self.watermark_ms).contains(&due_ms);
        if is_in_vain { self.watermark_ms.saturating_add(FEEDBACK_SLACK_MS) } else { due_ms }
    }

    /// The watermark as records carry it: the epoch (0) until it is known.
    pub fn watermark_column_ms(&self) -> i64 {
        if self.watermark_ms == UNKNOWN_MS { 0 } else { self.watermark_ms }
    }
}

/// The key (site, id) of a record, hashed once for all records that share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordKey {
    /// The id.
    pub id: Id,
    hash: Id,
}

impl RecordKey {
    /// The key of `id` at `site`.
    pub fn new(site: &str, id: Id) -> Self {
        Self { id, hash: Id::of(&[site.as_bytes(), &id.to_hex()]) }
    }

    /// The idempotency key of a revision of the record that has this key in `topic`.
    pub fn idempotency_key(&self, topic: &str, revision: i64) -> Id {
        // As `idempotency_key` of the schemas, with the key's parts hashed before.
        Id::of(&[topic.as_bytes(), &self.hash.0.to_be_bytes(), &revision.to_be_bytes()])
    }
}

/// Where operators write. The stage behind it knows topics, partitions and encodings.
pub trait Sink {
    /// A revision of a session.
    fn session(&mut self, record: &Session<'_>);
    /// A revision of a session's score.
    fn propensity(&mut self, record: &Propensity<'_>);
    /// A revision of an order.
    fn order(&mut self, record: &Order<'_>);
    /// A revision of an order's line.
    fn order_line(&mut self, record: &OrderLine<'_>);
    /// A revision of a refund.
    fn refund(&mut self, record: &Refund<'_>);
    /// A revision of a refund's line.
    fn refund_line(&mut self, record: &RefundLine<'_>);
    /// A revision of what a refund's line takes back.
    fn refund_match(&mut self, record: &RefundMatch<'_>);
    /// A revision of one credit of one order.
    fn attribution(&mut self, record: &Attribution<'_>);
    /// A revision of a customer's churn score.
    fn churn(&mut self, record: &Churn<'_>);
    /// A revision of a customer's value.
    fn clv(&mut self, record: &Clv<'_>);
    /// A revision of a closed session's engagement.
    fn engagement(&mut self, record: &Engagement<'_>);
    /// A revision of a person's profile; also, compacted, the person's latest.
    fn profile(&mut self, record: &Profile<'_>);
    /// A source's state, to the partition of `record.to_person`.
    fn hand_over(&mut self, record: &HandOver<'_>);
    /// A change of owner, to the partition of the order.
    fn order_entry(&mut self, record: &OrderEntry<'_>);
    /// What an order's partition knows, to the partition of `record.person`.
    fn order_fact(&mut self, record: &OrderFact<'_>);
    /// The record at hand cannot be processed; its bytes go to the dead letters.
    fn reject(&mut self, rejection: &Rejection<'_>);
}

/// Why a record goes to the dead letters.
#[derive(Debug, Clone, Copy)]
pub struct Rejection<'a> {
    /// Why, as the catalogue calls it.
    pub reason: Reason,
    /// The field at fault.
    pub field: Option<&'a str>,
    /// What was wrong and what to do.
    pub detail: &'a str,
    /// The shop; empty where unknown.
    pub site: &'a str,
    /// The event's id, where it could be read.
    pub event_id: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use millstream_schemas::{Id, idempotency_key};

    use super::RecordKey;

    #[test]
    fn a_key_hashed_once_gives_the_same_idempotency_keys() {
        let id = Id(7);
        let key = RecordKey::new("shop", id);
        for topic in ["sessions", "scores.propensity"] {
            assert_eq!(key.idempotency_key(topic, 5), idempotency_key(topic, &[b"shop", &id.to_hex()], 5));
        }
    }
}
