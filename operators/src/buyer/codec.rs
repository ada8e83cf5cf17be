//! The encoding of a customer's orders and refunds, for snapshots.

use super::state::{Bought, BoughtLine, Buyer, Match, Past, PastScored, Returned, ReturnedLine};
use crate::core::encoding::{AS_MANY_AS_THERE_ARE, write, write_hash, write_id, write_list, write_order};
use crate::core::limits::{ORDERS_PER_PERSON, RETURNS_PER_PERSON};
use crate::core::{StateError, StateReader};

impl Buyer {
    /// Appends it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        write_list(out, &self.orders, write_bought);
        write_list(out, &self.refunds, write_returned);
        let past = Some(&self.past).filter(|past| **past != Past::default());
        write::optional(out, past, write_past);
    }

    /// Reads what [`Buyer::encode`] wrote.
    ///
    /// # Errors
    /// Where it is damaged.
    pub fn decode(reader: &mut StateReader<'_>) -> Result<Self, StateError> {
        Ok(Self {
            orders: reader.list("orders", ORDERS_PER_PERSON, read_bought)?,
            refunds: reader.list("refunds", RETURNS_PER_PERSON, read_returned)?,
            past: reader.optional(read_past)?.unwrap_or_default(),
        })
    }
}

fn write_bought(out: &mut Vec<u8>, order: &Bought) {
    write::str(out, &order.order_id);
    write_order(out, &order.place);
    write::optional(out, order.source, write_id);
    write::long(out, i64::from(order.hand_overs));
    write::bytes(out, &order.currency);
    write::long(out, order.amount_minor);
    write::optional(out, order.reporting_amount_minor, write::long);
    write::long(out, order.named_refunds_minor);
    write::long(out, order.matched_refunds_minor);
    write::optional(out, order.cost_minor, write::long);
    write::long(out, i64::from(order.consent));
    write::bool(out, order.is_bot);
    write_list(out, &order.lines[..], |out, line| {
        write_hash(out, line.product);
        write::long(out, line.quantity);
        write::long(out, line.returned);
    });
}

fn read_bought(reader: &mut StateReader<'_>) -> Result<Bought, StateError> {
    Ok(Bought {
        order_id: reader.str()?.into(),
        place: reader.order()?,
        source: reader.optional(StateReader::id)?,
        hand_overs: reader.small()?,
        currency: reader.array()?,
        amount_minor: reader.long()?,
        reporting_amount_minor: reader.optional(StateReader::long)?,
        named_refunds_minor: reader.long()?,
        matched_refunds_minor: reader.long()?,
        cost_minor: reader.optional(StateReader::long)?,
        consent: reader.small()?,
        is_bot: reader.bool()?,
        // As many as its record had.
        lines: reader
            .list("lines", AS_MANY_AS_THERE_ARE, |reader| {
                Ok(BoughtLine { product: reader.hash()?, quantity: reader.long()?, returned: reader.long()? })
            })?
            .into_boxed_slice(),
    })
}

fn write_returned(out: &mut Vec<u8>, refund: &Returned) {
    write::str(out, &refund.refund_id);
    write_order(out, &refund.place);
    write::optional(out, refund.source, write_id);
    write::long(out, i64::from(refund.hand_overs));
    write::bytes(out, &refund.currency);
    write::long(out, refund.amount_minor);
    write::optional(out, refund.reporting_amount_minor, write::long);
    write::long(out, i64::from(refund.consent));
    write::bool(out, refund.is_bot);
    write_list(out, &refund.lines[..], |out, line| {
        write::long(out, i64::from(line.line_no));
        write::str(out, &line.product_id);
        for number in [line.quantity, line.amount_minor, line.matched_quantity, line.matched_minor] {
            write::long(out, number);
        }
        write_list(out, &line.matches, |out, matched| {
            write::str(out, &matched.order_id);
            write_order(out, &matched.place);
            write::long(out, matched.quantity);
            write::long(out, matched.amount_minor);
        });
    });
}

fn read_returned(reader: &mut StateReader<'_>) -> Result<Returned, StateError> {
    Ok(Returned {
        refund_id: reader.str()?.into(),
        place: reader.order()?,
        source: reader.optional(StateReader::id)?,
        hand_overs: reader.small()?,
        currency: reader.array()?,
        amount_minor: reader.long()?,
        reporting_amount_minor: reader.optional(StateReader::long)?,
        consent: reader.small()?,
        is_bot: reader.bool()?,
        lines: reader.list("lines", AS_MANY_AS_THERE_ARE, read_returned_line)?.into_boxed_slice(),
    })
}

fn read_returned_line(reader: &mut StateReader<'_>) -> Result<ReturnedLine, StateError> {
    Ok(ReturnedLine {
        line_no: reader.small()?,
        product_id: reader.str()?.into(),
        quantity: reader.long()?,
        amount_minor: reader.long()?,
        matched_quantity: reader.long()?,
        matched_minor: reader.long()?,
        matches: reader.list("matches", AS_MANY_AS_THERE_ARE, |reader| {
            Ok(Match {
                order_id: reader.str()?.into(),
                place: reader.order()?,
                quantity: reader.long()?,
                amount_minor: reader.long()?,
            })
        })?,
    })
}

fn write_past(out: &mut Vec<u8>, past: &Past) {
    write::optional(out, past.until.as_ref(), write_order);
    for count in [past.orders, past.orders_without_rate, past.refunds_without_rate, past.days] {
        write::long(out, i64::from(count));
    }
    write::long(out, i64::from(past.first_day));
    write::long(out, i64::from(past.last_day));
    for number in [
        past.first_order_ms,
        past.last_order_ms,
        past.revenue_minor,
        past.unmatched_refunds_minor,
        past.cost_minor,
        i64::from(past.orders_without_cost),
    ] {
        write::long(out, number);
    }
    past.since_first_minor.iter().for_each(|sum| write::long(out, *sum));
    past.since_first_cost_minor.iter().for_each(|sum| write::long(out, *sum));
    past.since_first_without_cost.iter().for_each(|count| write::long(out, i64::from(*count)));
    write::long(out, i64::from(past.consent));
    write::bool(out, past.is_bot);
    let scored = &past.scored;
    for number in [
        i64::from(scored.days),
        i64::from(scored.first_day),
        i64::from(scored.last_day),
        scored.first_day_minor,
        i64::from(scored.first_day_orders),
        i64::from(scored.repeat_days),
        i64::from(scored.last_repeat_day),
        scored.repeat_minor,
    ] {
        write::long(out, number);
    }
}

fn read_past(reader: &mut StateReader<'_>) -> Result<Past, StateError> {
    Ok(Past {
        until: reader.optional(StateReader::order)?,
        orders: reader.small()?,
        orders_without_rate: reader.small()?,
        refunds_without_rate: reader.small()?,
        days: reader.small()?,
        first_day: reader.small()?,
        last_day: reader.small()?,
        first_order_ms: reader.long()?,
        last_order_ms: reader.long()?,
        revenue_minor: reader.long()?,
        unmatched_refunds_minor: reader.long()?,
        cost_minor: reader.long()?,
        orders_without_cost: reader.small()?,
        since_first_minor: read_windows(reader)?,
        since_first_cost_minor: read_windows(reader)?,
        since_first_without_cost: read_windows(reader)?,
        consent: reader.small()?,
        is_bot: reader.bool()?,
        scored: PastScored {
            days: reader.small()?,
            first_day: reader.small()?,
            last_day: reader.small()?,
            first_day_minor: reader.long()?,
            first_day_orders: reader.small()?,
            repeat_days: reader.small()?,
            last_repeat_day: reader.small()?,
            repeat_minor: reader.long()?,
        },
    })
}

fn read_windows<T: TryFrom<i64> + Default + Copy>(reader: &mut StateReader<'_>) -> Result<[T; 3], StateError> {
    let mut windows = [T::default(); 3];
    for window in &mut windows {
        *window = reader.small()?;
    }
    Ok(windows)
}
