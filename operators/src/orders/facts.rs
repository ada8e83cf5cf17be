//! What the partition of an order tells its person's partition.
//!
//! A fact is the whole state of an order, of a refund that names none, or of a touch that names one; the last one holds. When the person changes, the old one is
//! told first that it is gone, under the old count of hand-overs, then the new one what it is, under the next count. So whatever the
//! new person's partition makes of it has a higher revision than the old one's retractions, in whichever order the two run.

use std::collections::BTreeMap;

use millstream_schemas::{Line, OrderEntry, OrderFact, revision};

use super::outputs::{Writer, held};
use super::state::{Addressee, Order, Told};
use crate::core::Sink;

/// What an order's state amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Order,
    Refund,
}

impl Kind {
    fn told(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Refund => "refund",
        }
    }

    fn gone(self) -> &'static str {
        match self {
            Self::Order => "order_gone",
            Self::Refund => "refund_gone",
        }
    }
}

impl Writer<'_> {
    /// Tells whose the order, or the refund without order id, is now how it stands, and whose it was that it is gone; the touches that
    /// name the order go with it. Nobody is told of an order without a person, nor of what names an order not known yet.
    pub fn fact(&self, order: &mut Order, sink: &mut impl Sink) {
        let (kind, told) = match (&order.purchase, order.refunds.as_slice()) {
            (Some(purchase), _) => (Kind::Order, purchase.clone()),
            (None, [refund]) => (Kind::Refund, refund.clone()),
            (None, _) => return,
        };
        let Some(entry) = told.entry() else { return };
        if kind == Kind::Refund && entry.order_id.is_some() {
            return;
        }
        let (person, person_user_id) = order.owner_of(&entry);
        let old = order.addressee;
        let mut new = Addressee { person, ..old };
        if let Some(old_person) = old.person
            && old.person != person
        {
            sink.order_fact(&OrderFact { kind: kind.gone(), person: old_person, ..self.head(&entry, old) });
            for touch in &order.touches {
                self.touch(touch, "touch_gone", old, None, sink);
            }
            new.hand_overs = old.hand_overs.saturating_add(1).min(revision::MAX_HAND_OVERS);
        }
        if let Some(person) = person {
            if old.person != Some(person) {
                for touch in &order.touches {
                    self.touch(touch, "touch", new, person_user_id, sink);
                }
            }
            let amount_minor = entry.amount_minor.unwrap_or(0);
            sink.order_fact(&OrderFact {
                kind: kind.told(),
                person,
                person_user_id,
                currency: entry.currency,
                amount_minor: Some(amount_minor),
                reporting_amount_minor: (entry.currency == Some(self.currency)).then_some(amount_minor),
                refunded_minor: if kind == Kind::Order { order.refunded_minor(entry.currency) } else { 0 },
                cost_minor: if kind == Kind::Order { cost_minor(&entry.lines) } else { None },
                lines: lines(&entry, order, kind),
                ..self.head(&entry, new)
            });
        }
        order.addressee = new;
    }

    /// Tells whose the order is of one touch that names it, or that it is gone. Nobody, while the order is nobody's.
    pub fn touch(
        &self,
        touch: &Told,
        kind: &'static str,
        to: Addressee,
        person_user_id: Option<&str>,
        sink: &mut impl Sink,
    ) {
        let (Some(person), Some(entry)) = (to.person, touch.entry()) else { return };
        let channel = entry.channel.or(Some("none"));
        sink.order_fact(&OrderFact {
            kind,
            person,
            person_user_id,
            channel,
            campaign: entry.campaign,
            ..self.head(&entry, to)
        });
    }

    fn head<'a>(&'a self, entry: &OrderEntry<'a>, addressee: Addressee) -> OrderFact<'a> {
        OrderFact {
            site: self.site,
            order_id: entry.order_id,
            // A purchase has none.
            refund_id: entry.refund_id,
            event_id: entry.event_id,
            event_time: entry.event_time,
            sequence: entry.sequence,
            source_event: self.cause,
            consent: entry.consent,
            is_bot: entry.is_bot,
            source: entry.source,
            hand_overs: i32::from(addressee.hand_overs),
            ..OrderFact::default()
        }
    }
}

/// The cost of all lines; `None` unless every one has it.
fn cost_minor(lines: &[Line<'_>]) -> Option<i64> {
    if lines.is_empty() {
        return None;
    }
    held(lines).try_fold(0i64, |sum, line| Some(sum.saturating_add(line.cost_minor?)))
}

/// The lines, each once; of an order without the pieces that refunds naming it took back, so that no piece is returned twice.
fn lines<'a>(entry: &OrderEntry<'a>, order: &Order, kind: Kind) -> Vec<Line<'a>> {
    let mut lines: Vec<Line<'a>> = held(&entry.lines).cloned().collect();
    if kind == Kind::Refund || order.refunds.is_empty() {
        return lines;
    }
    let refunds: Vec<OrderEntry<'_>> = order.refunds.iter().filter_map(Told::entry).collect();
    let mut returned: BTreeMap<&str, i64> = BTreeMap::new();
    for line in refunds.iter().flat_map(|refund| held(&refund.lines)) {
        let pieces = returned.entry(line.product_id).or_default();
        *pieces = pieces.saturating_add(line.quantity.max(0));
    }
    for line in &mut lines {
        if let Some(pieces) = returned.get_mut(line.product_id) {
            let taken = line.quantity.clamp(0, *pieces);
            line.quantity -= taken;
            *pieces -= taken;
        }
    }
    lines
}
