//! The records of what a refund without order id takes back.

use millstream_schemas::{Id, RefundMatch, idempotency_key};

use super::changed::Changed;
use super::state::{Buyer, Returned, ReturnedLine};
use crate::core::{Context, Sink};

/// Whose orders and refunds they are.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// The shop.
    pub site: &'a str,
    /// The person.
    pub person: Id,
    /// The user behind the person, once identified.
    pub user_id: Option<&'a str>,
}

/// Emits a revision of each refund line that came out differently, and retracts those that are no longer the person's. `buyer` is
/// as it is now.
pub fn emit_matches(changed: &Changed, buyer: &Buyer, owner: &Owner<'_>, cx: &Context<'_>, sink: &mut impl Sink) {
    for (refund_id, before) in &changed.refunds {
        let after = buyer.refund(refund_id);
        if let Some(before) = before {
            let ceased = |line: &&ReturnedLine| {
                after.is_none_or(|after| after.lines.iter().all(|other| other.line_no != line.line_no))
            };
            // What took its place has the higher count of hand-overs.
            let hand_overs = after.map_or(before.hand_overs, |after| after.hand_overs);
            for line in before.lines.iter().filter(ceased) {
                write(before, line, hand_overs, true, owner, cx, sink);
            }
        }
        if let Some(after) = after {
            let same_head = before.as_ref().filter(|before| head(before) == head(after));
            let is_same = |line: &ReturnedLine| same_head.is_some_and(|before| before.lines.contains(line));
            for line in after.lines.iter().filter(|line| !is_same(line)) {
                write(after, line, after.hand_overs, false, owner, cx, sink);
            }
        }
    }
}

/// What the rows of all lines share.
fn head(refund: &Returned) -> (i64, u16, [u8; 3], u8, bool) {
    (refund.place.time_ms, refund.hand_overs, refund.currency, refund.consent, refund.is_bot)
}

fn write(
    refund: &Returned,
    line: &ReturnedLine,
    hand_overs: u16,
    retracted: bool,
    owner: &Owner<'_>,
    cx: &Context<'_>,
    sink: &mut impl Sink,
) {
    let revision = cx.revision(hand_overs);
    let key: [&[u8]; 3] = [owner.site.as_bytes(), refund.refund_id.as_bytes(), &line.line_no.to_be_bytes()];
    sink.refund_match(&RefundMatch {
        site: owner.site,
        refund_id: &refund.refund_id,
        line_no: line.line_no,
        revision,
        idempotency_key: idempotency_key(RefundMatch::TOPIC, &key, revision),
        retracted,
        event_time: refund.place.time_ms,
        source_event: cx.source_event,
        watermark: cx.watermark_column_ms(),
        consent: i32::from(refund.consent),
        is_bot: refund.is_bot,
        person: owner.person,
        user_id: owner.user_id,
        product_id: &line.product_id,
        // Three letters, or nothing.
        currency: std::str::from_utf8(&refund.currency).unwrap_or_default(),
        quantity: line.quantity,
        amount_minor: line.amount_minor,
        matched_quantity: line.matched_quantity,
        matched_minor: line.matched_minor,
        unmatched_quantity: line.quantity.saturating_sub(line.matched_quantity),
        unmatched_minor: line.amount_minor.saturating_sub(line.matched_minor),
        order_ids: line.matches.iter().map(|matched| &*matched.order_id).collect(),
    });
}
