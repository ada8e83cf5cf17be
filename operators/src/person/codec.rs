//! The encoding of a source's state on its way to another partition. Versioned, bounded, Avro's primitives in a fixed order.

use std::sync::Arc;

use millstream_schemas::avro::{DecodeError, DecodeErrorKind, Reader, write};
use millstream_schemas::{HandOver, Id};

use smallvec::SmallVec;

use super::state::{Purchase, Source};
use crate::attribution::{self, Touches};
use crate::core::EventOrder;
use crate::core::limits::{
    EVENTS_PER_SOURCE, ORDERS_PER_SESSION, PAGE_VIEWS_PER_SESSION, PURCHASES_PER_SOURCE, SESSIONS_PER_SOURCE,
};
use crate::propensity::{self, Activity};
use crate::sessions::origin::{Origin, TEXTS};
use crate::sessions::{Session, SessionOrder};
use crate::visits::Visits;

/// Version of the encoding.
pub const VERSION: i32 = 1;

/// A state is at most about this long; brokers refuse records beyond 1 MB by default. The single events of campaign mode, then the
/// oldest sessions are left out first: they stay as they were last emitted.
pub const STATE_BYTES_MAX: usize = 700_000;

/// Why a state cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another version wrote it.
    #[error(
        "state version {0} is unknown to this program, which knows version {VERSION}; drain with the older program first"
    )]
    Version(i32),
    /// It is damaged.
    #[error("the state is damaged: {0}")]
    Damaged(#[from] DecodeError),
    /// Its touches are.
    #[error(transparent)]
    Touches(#[from] attribution::Damaged),
    /// It claims more than can be.
    #[error("the state holds {count} {what}, at most {limit} can be")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: i64,
        /// How many there may be.
        limit: usize,
    },
}

/// Appends what is known of `source`.
pub fn encode(source: &Source, out: &mut Vec<u8>) {
    let start = out.len();
    let mut sessions: Vec<Vec<u8>> = Vec::new();
    let mut bytes = 0;
    for session in source.sessions.list.iter().rev() {
        let mut encoded = Vec::new();
        write_session(&mut encoded, session);
        bytes += encoded.len();
        if bytes > STATE_BYTES_MAX {
            break;
        }
        sessions.push(encoded);
    }
    write::long(out, sessions.len() as i64);
    for encoded in sessions.iter().rev() {
        out.extend_from_slice(encoded);
    }
    source.visits.encode(out);
    write::bytes(out, source.touches.as_bytes());
    let purchases = source.purchases.as_deref().map(Vec::as_slice).unwrap_or_default();
    write::long(out, purchases.len() as i64);
    for purchase in purchases {
        write::optional(out, purchase.order_id.as_deref(), write::str);
        write::optional(out, purchase.refund_id.as_deref(), write::str);
        write::long(out, purchase.event_time_ms);
    }
    let before_single = out.len();
    let single = source.sessions.single.as_deref().map(Vec::as_slice).unwrap_or_default();
    write::long(out, single.len() as i64);
    for event in single {
        write_session(out, event);
        if out.len() - start > STATE_BYTES_MAX {
            out.truncate(before_single);
            write::long(out, 0);
            break;
        }
    }
}

/// Reads what [`encode`] wrote; the empty state is that of a source of which nothing was known.
pub fn decode(id: Id, version: i32, state: &[u8]) -> Result<Source, StateError> {
    let mut source = Source::new(id);
    if state.is_empty() {
        return Ok(source);
    }
    if version != VERSION {
        return Err(StateError::Version(version));
    }
    let mut reader = Reader::new(HandOver::RECORD, state);
    // Names the field in errors.
    let reader = reader.at(9);
    for _ in 0..count(reader, "sessions", SESSIONS_PER_SOURCE)? {
        source.sessions.list.push(Arc::new(session(reader)?));
    }
    source.visits = Visits::decode(reader).map_err(|kind| reader.error(kind))?;
    source.touches = Touches::from_bytes(reader.bytes().map_err(|kind| reader.error(kind))?)?;
    let mut purchases = Vec::new();
    for _ in 0..count(reader, "purchases", PURCHASES_PER_SOURCE)? {
        let purchase = read_purchase(reader).map_err(|kind| reader.error(kind))?;
        purchases.push(purchase);
    }
    if !purchases.is_empty() {
        source.purchases = Some(Arc::new(purchases));
    }
    let mut single = Vec::new();
    for _ in 0..count(reader, "single events", EVENTS_PER_SOURCE)? {
        single.push(Arc::new(session(reader)?));
    }
    if !single.is_empty() {
        source.sessions.single = Some(Box::new(single));
    }
    reader.finish()?;
    Ok(source)
}

fn count(reader: &mut Reader<'_>, what: &'static str, limit: usize) -> Result<usize, StateError> {
    let count = reader.long().map_err(|kind| reader.error(kind))?;
    usize::try_from(count).ok().filter(|&count| count <= limit).ok_or(StateError::TooMany { what, count, limit })
}

fn read_purchase(reader: &mut Reader<'_>) -> Result<Purchase, DecodeErrorKind> {
    Ok(Purchase {
        order_id: reader.optional(Reader::str)?.map(Box::from),
        refund_id: reader.optional(Reader::str)?.map(Box::from),
        event_time_ms: reader.long()?,
    })
}

fn write_order(out: &mut Vec<u8>, order: &EventOrder) {
    let (time_ms, sequence, id) = order.parts();
    write::long(out, time_ms);
    write::long(out, sequence);
    write::bytes(out, id);
}

fn read_order(reader: &mut Reader<'_>) -> Result<EventOrder, DecodeErrorKind> {
    let (time_ms, sequence) = (reader.long()?, reader.long()?);
    let id = reader.bytes()?.try_into().map_err(|_| DecodeErrorKind::InvalidId)?;
    Ok(EventOrder::from_parts(time_ms, sequence, id))
}

fn write_origin(out: &mut Vec<u8>, origin: &Origin) {
    write_order(out, &origin.order);
    for text in origin.texts() {
        write::optional(out, text, write::str);
    }
}

fn read_origin(reader: &mut Reader<'_>) -> Result<Origin, DecodeErrorKind> {
    let order = read_order(reader)?;
    let mut texts = [None; TEXTS];
    for text in &mut texts {
        *text = reader.optional(Reader::str)?;
    }
    Ok(Origin::pack(order, texts))
}

/// 0 none, 1 the first event itself, 2 an event of its own.
fn write_shared(out: &mut Vec<u8>, origin: &Option<Arc<Origin>>, first: &Arc<Origin>) {
    match origin {
        None => write::long(out, 0),
        Some(origin) if origin.order == first.order => write::long(out, 1),
        Some(origin) => {
            write::long(out, 2);
            write_origin(out, origin);
        }
    }
}

fn read_shared(reader: &mut Reader<'_>, first: &Arc<Origin>) -> Result<Option<Arc<Origin>>, DecodeErrorKind> {
    Ok(match reader.long()? {
        0 => None,
        1 => Some(first.clone()),
        _ => Some(Arc::new(read_origin(reader)?)),
    })
}

fn write_session(out: &mut Vec<u8>, session: &Session) {
    write::id(out, session.id);
    write_origin(out, &session.first);
    for origin in [&session.entry, &session.channel, &session.tracker] {
        write_shared(out, origin, &session.first);
    }
    write_order(out, &session.last);
    write_order(out, &session.exit_order);
    write::optional(out, session.exit_page.as_deref(), write::str);
    write::long(out, session.page_view_ids.len() as i64);
    for id in &session.page_view_ids {
        write::bytes(out, &id.to_le_bytes());
    }
    write::long(out, session.orders.len() as i64);
    for order in &session.orders {
        write::bytes(out, &order.order_id.to_le_bytes());
        write_order(out, &order.told_by);
        write::long(out, order.amount_minor);
        write::bytes(out, &order.currency);
    }
    propensity::codec::write(out, &session.activity);
    write::bytes(out, &session.campaign.to_le_bytes());
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

fn session(reader: &mut Reader<'_>) -> Result<Session, StateError> {
    let kind_error = |reader: &Reader<'_>, kind| StateError::Damaged(reader.error(kind));
    let mut session = read_session_head(reader).map_err(|kind| kind_error(reader, kind))?;
    for _ in 0..count(reader, "page view ids", PAGE_VIEWS_PER_SESSION)? {
        session.page_view_ids.push(read_u64(reader).map_err(|kind| kind_error(reader, kind))?);
    }
    for _ in 0..count(reader, "orders", ORDERS_PER_SESSION)? {
        session.orders.push(read_session_order(reader).map_err(|kind| kind_error(reader, kind))?);
    }
    read_session_tail(reader, &mut session).map_err(|kind| kind_error(reader, kind))?;
    Ok(session)
}

fn read_session_head(reader: &mut Reader<'_>) -> Result<Session, DecodeErrorKind> {
    let id = reader.id()?;
    let first = Arc::new(read_origin(reader)?);
    let entry = read_shared(reader, &first)?;
    let channel = read_shared(reader, &first)?;
    let tracker = read_shared(reader, &first)?;
    Ok(Session {
        id,
        first,
        entry,
        channel,
        tracker,
        last: read_order(reader)?,
        exit_order: read_order(reader)?,
        exit_page: reader.optional(Reader::str)?.map(Arc::from),
        page_view_ids: SmallVec::new(),
        orders: Vec::new(),
        activity: Activity::default(),
        campaign: 0,
        engaged_ms: 0,
        events: 0,
        page_views_without_id: 0,
        product_views: 0,
        searches: 0,
        cart_adds: 0,
        cart_removes: 0,
        checkout_steps: 0,
        scroll_depth_pct: 0,
        funnel_depth: 0,
        consent: 0,
        is_bot: false,
        by_tracker: false,
        closed: false,
    })
}

fn read_session_order(reader: &mut Reader<'_>) -> Result<SessionOrder, DecodeErrorKind> {
    Ok(SessionOrder {
        order_id: read_u64(reader)?,
        told_by: read_order(reader)?,
        amount_minor: reader.long()?,
        currency: reader.bytes()?.try_into().map_err(|_| DecodeErrorKind::InvalidId)?,
    })
}

fn read_session_tail(reader: &mut Reader<'_>, session: &mut Session) -> Result<(), DecodeErrorKind> {
    session.activity = propensity::codec::read(reader)?;
    session.campaign = read_u64(reader)?;
    session.engaged_ms = reader.long()?;
    session.events = read_small(reader)?;
    session.page_views_without_id = read_small(reader)?;
    session.product_views = read_small(reader)?;
    session.searches = read_small(reader)?;
    session.cart_adds = read_small(reader)?;
    session.cart_removes = read_small(reader)?;
    session.checkout_steps = read_small(reader)?;
    session.scroll_depth_pct = read_small(reader)?;
    session.funnel_depth = read_small(reader)?;
    session.consent = read_small(reader)?;
    session.is_bot = reader.bool()?;
    session.by_tracker = reader.bool()?;
    session.closed = reader.bool()?;
    Ok(())
}

fn read_small<T: TryFrom<i64>>(reader: &mut Reader<'_>) -> Result<T, DecodeErrorKind> {
    T::try_from(reader.long()?).map_err(|_| DecodeErrorKind::IntegerOverflow)
}

fn read_u64(reader: &mut Reader<'_>) -> Result<u64, DecodeErrorKind> {
    Ok(u64::from_le_bytes(reader.bytes()?.try_into().map_err(|_| DecodeErrorKind::InvalidId)?))
}
