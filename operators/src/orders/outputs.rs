//! The records of an order and its refunds.

use millstream_schemas::{Id, Line, Order as OrderRecord, OrderLine, Refund, RefundLine, idempotency_key};

use super::state::{Order, Told};
use crate::core::{Context, Sink};

/// Hand-overs of an order: it never changes its partition.
const NO_HAND_OVERS: u16 = 0;

/// Writes the rows of one order because of one entry.
pub(super) struct Writer<'a> {
    /// The shop.
    pub site: &'a str,
    /// The shop's reporting currency.
    pub currency: &'a str,
    /// Id of the event that causes the revision.
    pub cause: &'a str,
    /// The record at hand.
    pub cx: &'a Context<'a>,
}

impl Writer<'_> {
    fn key(&self, topic: &str, key: &[&[u8]], revision: i64) -> Id {
        let mut parts: [&[u8]; 3] = [self.site.as_bytes(), &[], &[]];
        for (place, part) in parts.iter_mut().skip(1).zip(key) {
            *place = part;
        }
        idempotency_key(topic, parts.get(..key.len() + 1).unwrap_or(&parts), revision)
    }

    /// The order's row; nothing before its purchase is known.
    pub fn order(&self, order: &Order, sink: &mut impl Sink) {
        let Some(entry) = order.purchase.as_ref().and_then(Told::entry) else { return };
        let order_id = entry.order_id.unwrap_or_default();
        let (person, user_id) = order.owner_of(&entry);
        let revision = self.cx.revision(NO_HAND_OVERS);
        let currency = entry.currency.unwrap_or_default();
        let amount_minor = entry.amount_minor.unwrap_or(0);
        sink.order(&OrderRecord {
            site: self.site,
            order_id,
            revision,
            idempotency_key: self.key(OrderRecord::TOPIC, &[order_id.as_bytes()], revision),
            retracted: false,
            event_time: entry.event_time,
            source_event: self.cause,
            watermark: self.cx.watermark_column_ms(),
            consent: entry.consent,
            is_bot: entry.is_bot,
            source: entry.source,
            person,
            user_id,
            currency,
            amount_minor,
            reporting_amount_minor: (currency == self.currency).then_some(amount_minor),
            rate_id: None,
            tax_minor: entry.tax_minor,
            shipping_minor: entry.shipping_minor,
            discount_minor: entry.discount_minor,
            coupon: entry.coupon,
            lines: entry.lines.len() as i64,
            quantity: entry.lines.iter().fold(0i64, |sum, line| sum.saturating_add(line.quantity)),
            refunded_minor: order.refunded_minor(entry.currency),
        });
    }

    /// The order's lines; those that only `replaced` had are retracted.
    pub fn order_lines(&self, order: &Order, replaced: Option<&Told>, sink: &mut impl Sink) {
        let Some(entry) = order.purchase.as_ref().and_then(Told::entry) else { return };
        let (person, user_id) = order.owner_of(&entry);
        let order_id = entry.order_id.unwrap_or_default();
        let old = replaced.and_then(Told::entry);
        for (line, retracted) in with_ceased(&entry.lines, old.as_ref().map_or(&[], |old| &old.lines)) {
            let revision = self.cx.revision(NO_HAND_OVERS);
            sink.order_line(&OrderLine {
                site: self.site,
                order_id,
                line_no: line.line_no,
                revision,
                idempotency_key: self.key(
                    OrderLine::TOPIC,
                    &[order_id.as_bytes(), &line.line_no.to_be_bytes()],
                    revision,
                ),
                retracted,
                event_time: entry.event_time,
                source_event: self.cause,
                watermark: self.cx.watermark_column_ms(),
                consent: entry.consent,
                is_bot: entry.is_bot,
                person,
                user_id,
                currency: entry.currency.unwrap_or_default(),
                product_id: line.product_id,
                product_name: line.product_name,
                product_category: line.product_category,
                quantity: line.quantity,
                unit_price: line.unit_price,
                amount_minor: line.amount_minor,
                cost_minor: line.cost_minor,
            });
        }
    }

    /// A refund's row.
    pub fn refund(&self, order: &Order, refund: &Told, sink: &mut impl Sink) {
        let Some(entry) = refund.entry() else { return };
        let refund_id = entry.refund_id.unwrap_or_default();
        let (person, user_id) = order.owner_of(&entry);
        let revision = self.cx.revision(NO_HAND_OVERS);
        sink.refund(&Refund {
            site: self.site,
            refund_id,
            revision,
            idempotency_key: self.key(Refund::TOPIC, &[refund_id.as_bytes()], revision),
            retracted: false,
            event_time: entry.event_time,
            source_event: self.cause,
            watermark: self.cx.watermark_column_ms(),
            consent: entry.consent,
            is_bot: entry.is_bot,
            order_id: entry.order_id,
            r#match: if entry.currency.is_some() && order.currency() == entry.currency {
                "matched"
            } else {
                "unmatched"
            },
            source: entry.source,
            person,
            user_id,
            currency: entry.currency.unwrap_or_default(),
            amount_minor: entry.amount_minor.unwrap_or(0),
            lines: entry.lines.len() as i64,
        });
    }

    /// A refund's lines; those that only `replaced` had are retracted.
    pub fn refund_lines(&self, order: &Order, refund: &Told, replaced: Option<&Told>, sink: &mut impl Sink) {
        let Some(entry) = refund.entry() else { return };
        let (person, user_id) = order.owner_of(&entry);
        let refund_id = entry.refund_id.unwrap_or_default();
        let old = replaced.and_then(Told::entry);
        for (line, retracted) in with_ceased(&entry.lines, old.as_ref().map_or(&[], |old| &old.lines)) {
            let revision = self.cx.revision(NO_HAND_OVERS);
            sink.refund_line(&RefundLine {
                site: self.site,
                refund_id,
                line_no: line.line_no,
                order_id: entry.order_id,
                revision,
                idempotency_key: self.key(
                    RefundLine::TOPIC,
                    &[refund_id.as_bytes(), &line.line_no.to_be_bytes()],
                    revision,
                ),
                retracted,
                event_time: entry.event_time,
                source_event: self.cause,
                watermark: self.cx.watermark_column_ms(),
                consent: entry.consent,
                is_bot: entry.is_bot,
                person,
                user_id,
                currency: entry.currency.unwrap_or_default(),
                product_id: line.product_id,
                product_name: line.product_name,
                product_category: line.product_category,
                quantity: line.quantity,
                unit_price: line.unit_price,
                amount_minor: line.amount_minor,
                cost_minor: line.cost_minor,
            });
        }
    }
}

/// The lines that hold: each line number once, the last telling of it.
pub(super) fn held<'a, 'b: 'a>(lines: &'a [Line<'b>]) -> impl Iterator<Item = &'a Line<'b>> {
    let repeated = |at: usize, line_no: i32| lines.iter().skip(at + 1).any(|other| other.line_no == line_no);
    lines.iter().enumerate().filter(move |(at, line)| !repeated(*at, line.line_no)).map(|(_, line)| line)
}

/// The lines that hold, each line number once (the last telling of it), then those whose number is no more, as retracted.
fn with_ceased<'a, 'b: 'a>(lines: &'a [Line<'b>], old: &'a [Line<'b>]) -> impl Iterator<Item = (&'a Line<'b>, bool)> {
    let ceased = old.iter().filter(|line| lines.iter().all(|other| other.line_no != line.line_no));
    held(lines).map(|line| (line, false)).chain(ceased.map(|line| (line, true)))
}
