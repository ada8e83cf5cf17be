//! The encoding of sessions: part of a source's state on its way to another partition and in snapshots.

use std::sync::Arc;

use smallvec::SmallVec;

use super::origin::{Origin, TEXTS};
use super::{Session, SessionOrder};
use crate::core::encoding::{StateError, StateReader, write, write_count, write_hash, write_list, write_order};
use crate::core::limits::{ORDERS_PER_SESSION, PAGE_VIEWS_PER_SESSION};
use crate::propensity;

fn write_origin(out: &mut Vec<u8>, origin: &Origin) {
    write_order(out, &origin.order);
    for text in origin.texts() {
        write::optional(out, text, write::str);
    }
}

fn read_origin(reader: &mut StateReader<'_>) -> Result<Origin, StateError> {
    let order = reader.order()?;
    let mut texts = [None; TEXTS];
    for text in &mut texts {
        *text = reader.optional(StateReader::str)?;
    }
    Ok(Origin::pack(order, texts))
}

/// 0 none, 1 the first event itself, 2 an event of its own.
fn write_shared(out: &mut Vec<u8>, origin: &Option<Arc<Origin>>, first: &Arc<Origin>) {
    match origin {
        None => write::long(out, 0),
        Some(origin) if Arc::ptr_eq(origin, first) || origin == first => write::long(out, 1),
        Some(origin) => {
            write::long(out, 2);
            write_origin(out, origin);
        }
    }
}

/// One event of its own that stands for two things is told of twice, and is one again here: `others` are those read before.
fn read_shared(
    reader: &mut StateReader<'_>,
    first: &Arc<Origin>,
    others: &[&Option<Arc<Origin>>],
) -> Result<Option<Arc<Origin>>, StateError> {
    match reader.long()? {
        0 => Ok(None),
        1 => Ok(Some(first.clone())),
        2 => {
            let origin = read_origin(reader)?;
            let known = others.iter().copied().flatten().find(|known| ***known == origin);
            Ok(Some(known.map_or_else(|| Arc::new(origin), Arc::clone)))
        }
        other => Err(StateError::impossible(format!("{other} where a session's event is 0, 1 or 2"))),
    }
}

/// Appends a session.
pub fn write_session(out: &mut Vec<u8>, session: &Session) {
    write::id(out, session.id);
    write_origin(out, &session.first);
    for origin in [&session.entry, &session.channel, &session.tracker] {
        write_shared(out, origin, &session.first);
    }
    write_order(out, &session.last);
    write_order(out, &session.exit_order);
    write::optional(out, session.exit_page.as_deref(), write::str);
    write_list(out, session.page_view_ids.as_slice(), |out, id| write_hash(out, *id));
    write_list(out, &session.orders, |out, order| {
        write_hash(out, order.order_id);
        write_order(out, &order.told_by);
        write::long(out, order.amount_minor);
        write::bytes(out, &order.currency);
    });
    propensity::codec::write(out, &session.activity);
    write_hash(out, session.campaign);
    write::long(out, session.engaged_ms);
    for count in [
        session.events,
        session.page_views_without_id,
        session.product_views,
        session.searches,
        session.cart_adds,
        session.cart_removes,
        session.checkout_steps,
    ] {
        write::long(out, i64::from(count));
    }
    for small in [session.scroll_depth_pct, session.funnel_depth, session.consent] {
        write::long(out, i64::from(small));
    }
    for flag in [session.is_bot, session.by_tracker, session.closed] {
        write::bool(out, flag);
    }
}

/// Reads a session.
///
/// # Errors
/// Where it is damaged.
pub fn read_session(reader: &mut StateReader<'_>) -> Result<Session, StateError> {
    let id = reader.hex_id()?;
    let first = Arc::new(read_origin(reader)?);
    let entry = read_shared(reader, &first, &[])?;
    let channel = read_shared(reader, &first, &[&entry])?;
    let tracker = read_shared(reader, &first, &[&entry, &channel])?;
    Ok(Session {
        id,
        first,
        entry,
        channel,
        tracker,
        last: reader.order()?,
        exit_order: reader.order()?,
        exit_page: reader.optional(StateReader::str)?.map(Arc::from),
        page_view_ids: read_page_view_ids(reader)?,
        orders: reader.list("orders", ORDERS_PER_SESSION, read_session_order)?,
        activity: propensity::codec::read(reader)?,
        campaign: reader.hash()?,
        engaged_ms: reader.long()?,
        events: reader.small()?,
        page_views_without_id: reader.small()?,
        product_views: reader.small()?,
        searches: reader.small()?,
        cart_adds: reader.small()?,
        cart_removes: reader.small()?,
        checkout_steps: reader.small()?,
        scroll_depth_pct: reader.small()?,
        funnel_depth: reader.small()?,
        consent: reader.small()?,
        is_bot: reader.bool()?,
        by_tracker: reader.bool()?,
        closed: reader.bool()?,
    })
}

fn read_page_view_ids(reader: &mut StateReader<'_>) -> Result<SmallVec<[u64; 4]>, StateError> {
    let mut ids = SmallVec::new();
    for _ in 0..reader.count("page view ids", PAGE_VIEWS_PER_SESSION)? {
        ids.push(reader.hash()?);
    }
    Ok(ids)
}

fn read_session_order(reader: &mut StateReader<'_>) -> Result<SessionOrder, StateError> {
    Ok(SessionOrder {
        order_id: reader.hash()?,
        told_by: reader.order()?,
        amount_minor: reader.long()?,
        currency: reader.array()?,
    })
}

/// Appends sessions.
pub fn write_sessions<'a>(
    out: &mut Vec<u8>,
    sessions: impl IntoIterator<Item = &'a Arc<Session>, IntoIter: ExactSizeIterator>,
) {
    let sessions = sessions.into_iter();
    write_count(out, sessions.len());
    sessions.for_each(|session| write_session(out, session));
}
