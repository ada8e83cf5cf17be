//! A purchase, a refund, an offline touch that names an order, or a change of owner.

use std::sync::Arc;

use millstream_schemas::input::Reason;
use millstream_schemas::{Id, OrderEntry, purposes};

use super::outputs::Writer;
use super::state::{Order, Orders, Told};
use super::state_id;
use crate::core::context::Rejection;
use crate::core::limits::{REFUNDS_PER_ORDER, TOUCHES_PER_ORDER};
use crate::core::{Context, EventOrder, Sink};
use crate::site::Sites;

/// What an entry is not good for.
#[derive(Debug, Clone, Copy)]
struct Refused {
    reason: Reason,
    field: &'static str,
    detail: &'static str,
}

impl Orders {
    /// Takes an entry in; `body` is the Avro body it came in. One without the purpose *necessary* changes nothing.
    pub fn on_entry(
        &mut self,
        entry: &OrderEntry<'_>,
        body: &[u8],
        sites: &Sites,
        cx: &Context<'_>,
        sink: &mut impl Sink,
    ) {
        if entry.consent & purposes::NECESSARY == 0 {
            return;
        }
        let Some(id) = state_id(entry.site, entry.order_id, entry.refund_id) else {
            return refuse(entry, missing("order_id", "an entry needs an order id, or a refund id"), sink);
        };
        let writer = Writer { site: entry.site, currency: &sites.get(entry.site).currency, cause: entry.event_id, cx };
        let done = match entry.kind {
            "purchase" => self.on_purchase(id, entry, body, &writer, sink),
            "refund" => self.on_refund(id, entry, body, &writer, sink),
            "touch" => self.on_touch(id, entry, body, &writer, sink),
            "owner" => {
                self.on_owner(id, entry, &writer, sink);
                Ok(())
            }
            _ => Err(Refused {
                reason: Reason::UnexpectedRecord,
                field: "kind",
                detail: "an entry is a purchase, a refund, a touch or an owner",
            }),
        };
        if let Err(refused) = done {
            return refuse(entry, refused, sink);
        }
        self.arm(id);
    }

    fn on_purchase(
        &mut self,
        id: Id,
        entry: &OrderEntry<'_>,
        body: &[u8],
        writer: &Writer<'_>,
        sink: &mut impl Sink,
    ) -> Result<(), Refused> {
        if entry.order_id.is_none() {
            return Err(missing("order_id", "a purchase needs an order id"));
        }
        amounts(entry)?;
        let order = self.entries.get_or_insert_with(id.0, Order::default);
        let told = told(entry, body);
        if order.purchase.as_ref().is_some_and(|known| known.order >= told.order) {
            return Ok(());
        }
        let replaced = order.purchase.replace(told);
        writer.order(order, sink);
        writer.order_lines(order, replaced.as_ref(), sink);
        // What its refunds are matched to has come, or is in another currency now.
        if replaced.as_ref().and_then(Told::entry).and_then(|old| old.currency) != entry.currency {
            for refund in &order.refunds {
                writer.refund(order, refund, sink);
            }
        }
        writer.fact(order, sink);
        Ok(())
    }

    fn on_refund(
        &mut self,
        id: Id,
        entry: &OrderEntry<'_>,
        body: &[u8],
        writer: &Writer<'_>,
        sink: &mut impl Sink,
    ) -> Result<(), Refused> {
        let Some(refund_id) = entry.refund_id else {
            return Err(missing(
                "refund_id",
                "a refund needs an id; ingest gives it the event's where the shop gave none",
            ));
        };
        amounts(entry)?;
        let order = self.entries.get_or_insert_with(id.0, Order::default);
        let told = told(entry, body);
        let same = |known: &Told| known.entry().is_some_and(|known| known.refund_id == Some(refund_id));
        let is_full = order.refunds.len() >= REFUNDS_PER_ORDER;
        let replaced = match order.refunds.iter_mut().find(|known| same(known)) {
            Some(known) if known.order >= told.order => return Ok(()),
            Some(known) => Some(std::mem::replace(known, told.clone())),
            None if is_full => {
                return Err(Refused {
                    reason: Reason::TooManyRefunds,
                    field: "refund_id",
                    detail: "the order has as many refunds as can be kept; correct it by a refund without order id",
                });
            }
            None => {
                order.refunds.push(told.clone());
                None
            }
        };
        writer.refund(order, &told, sink);
        writer.refund_lines(order, &told, replaced.as_ref(), sink);
        writer.order(order, sink);
        writer.fact(order, sink);
        Ok(())
    }

    fn on_touch(
        &mut self,
        id: Id,
        entry: &OrderEntry<'_>,
        body: &[u8],
        writer: &Writer<'_>,
        sink: &mut impl Sink,
    ) -> Result<(), Refused> {
        if entry.order_id.is_none() {
            return Err(missing("order_id", "a touch is sent to the order that it names"));
        }
        let order = self.entries.get_or_insert_with(id.0, Order::default);
        let touch = told(entry, body);
        let at = order.touches.partition_point(|known| known.order < touch.order);
        let is_known = order.touches.get(at).is_some_and(|known| known.order == touch.order);
        let is_full = order.touches.len() >= TOUCHES_PER_ORDER;
        // Of too many the latest stay, in whichever order they come.
        if is_known || is_full && at == 0 {
            return Ok(());
        }
        let user_id = order.purchase.as_ref().and_then(Told::entry).and_then(|purchase| order.owner_of(&purchase).1);
        writer.touch(&touch, "touch", order.addressee, user_id, sink);
        order.touches.insert(at, touch);
        if is_full {
            let oldest = order.touches.remove(0);
            writer.touch(&oldest, "touch_gone", order.addressee, None, sink);
        }
        Ok(())
    }

    fn on_owner(&mut self, id: Id, entry: &OrderEntry<'_>, writer: &Writer<'_>, sink: &mut impl Sink) {
        let order = self.entries.get_or_insert_with(id.0, Order::default);
        if !order.note_owner(entry) {
            return;
        }
        let came_from = |told: &Told| told.entry().is_some_and(|told| told.source == entry.source);
        let purchase_came = order.purchase.as_ref().is_some_and(came_from);
        if purchase_came {
            writer.order(order, sink);
            writer.order_lines(order, None, sink);
        }
        for refund in order.refunds.iter().filter(|refund| came_from(refund)) {
            writer.refund(order, refund, sink);
            writer.refund_lines(order, refund, None, sink);
        }
        // A refund that names the order lowers it, whoever gave it back.
        if purchase_came || order.purchase.is_none() && order.refunds.iter().any(came_from) {
            writer.fact(order, sink);
        }
    }
}

fn told(entry: &OrderEntry<'_>, body: &[u8]) -> Told {
    Told { order: EventOrder::new(entry.event_time, entry.sequence, entry.event_id), body: Arc::from(body) }
}

fn missing(field: &'static str, detail: &'static str) -> Refused {
    Refused { reason: Reason::MissingField, field, detail }
}

fn amounts(entry: &OrderEntry<'_>) -> Result<(), Refused> {
    if entry.currency.is_none() {
        return Err(missing("currency", "an amount needs its currency"));
    }
    match entry.amount_minor {
        None => Err(missing("amount_minor", "a purchase or refund needs its amount")),
        Some(_) => Ok(()),
    }
}

fn refuse(entry: &OrderEntry<'_>, refused: Refused, sink: &mut impl Sink) {
    sink.reject(&Rejection {
        reason: refused.reason,
        field: Some(refused.field),
        detail: refused.detail,
        site: entry.site,
        event_id: Some(entry.event_id),
    });
}
