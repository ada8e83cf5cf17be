//! The record of a session.

use millstream_schemas::{Id, Session as Record};
use millstream_scoring::Scorer;

use super::origin::Text;
use super::{Changes, Rules, Session, SourceSessions, is_latest};
use crate::core::{Context, RecordKey, Sink};
use crate::engagement;
use crate::propensity::{self, History};

/// Whose sessions they are.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// The shop.
    pub site: &'a str,
    /// The source.
    pub source: Id,
    /// Its person.
    pub person: Id,
    /// The user behind the person, once identified.
    pub user_id: Option<&'a str>,
    /// How often the source was handed over.
    pub hand_overs: u16,
    /// The source's sessions that can change no more, for scores; `None` where nobody keeps it, and scores then do without history.
    pub history: Option<&'a History>,
}

fn write(
    session: &Session,
    key: &RecordKey,
    owner: &Owner<'_>,
    rules: &Rules,
    retracted: bool,
    cx: &Context<'_>,
    sink: &mut impl Sink,
) {
    let revision = cx.revision(owner.hand_overs);
    let first = |text| session.first.text(text);
    let entry = |text| session.entry.as_ref().and_then(|origin| origin.text(text));
    let channel = |text| session.channel.as_ref().and_then(|origin| origin.text(text));
    let (revenue_minor, currency) = session.revenue();
    let started_at = session.first.order.time_ms;
    let ended_at = session.last.time_ms;
    sink.session(&Record {
        site: owner.site,
        session_id: session.id,
        revision,
        idempotency_key: key.idempotency_key(Record::TOPIC, revision),
        retracted,
        event_time: cx.event_time_ms,
        source_event: cx.source_event,
        watermark: cx.watermark_column_ms(),
        consent: i32::from(session.consent),
        is_bot: session.is_bot,
        source: owner.source,
        person: owner.person,
        user_id: owner.user_id,
        device_id: first(Text::DeviceId),
        tracker_session_id: session.tracker.as_ref().and_then(|origin| origin.text(Text::TrackerSessionId)),
        started_at,
        ended_at,
        state: if session.closed { "closed" } else { "open" },
        closed_at: session.closed.then(|| rules.closes_at_ms(session)),
        events: i64::from(session.events),
        page_views: session.page_views(),
        product_views: i64::from(session.product_views),
        searches: i64::from(session.searches),
        cart_adds: i64::from(session.cart_adds),
        cart_removes: i64::from(session.cart_removes),
        checkout_steps: i64::from(session.checkout_steps),
        purchases: session.orders.len() as i64,
        revenue_minor,
        currency,
        engaged_ms: session.engaged_ms,
        duration_ms: ended_at.saturating_sub(started_at),
        scroll_depth_pct: i32::from(session.scroll_depth_pct),
        funnel_depth: i32::from(session.funnel_depth),
        entry_page: entry(Text::Page),
        exit_page: session.exit_page.as_deref(),
        entry_referrer: entry(Text::Referrer),
        channel: channel(Text::Channel).unwrap_or("none"),
        utm_source: channel(Text::UtmSource),
        utm_medium: channel(Text::UtmMedium),
        utm_campaign: channel(Text::UtmCampaign),
        device_class: first(Text::DeviceClass).unwrap_or("unknown"),
        os: first(Text::Os).unwrap_or("unknown"),
        browser: first(Text::Browser).unwrap_or("unknown"),
        country: first(Text::Country),
    });
}

/// Emits everything a record has changed: retractions first, then each session once, with its score where that changed and its
/// engagement where it is closed. Returns whether a closed session was changed, re-opened or ceased.
pub fn emit_changes(
    sessions: &SourceSessions,
    changes: &Changes,
    owner: &Owner<'_>,
    rules: &Rules,
    scorer: &dyn Scorer,
    cx: &Context<'_>,
    sink: &mut impl Sink,
) -> bool {
    // From the end: nearly every record concerns the latest session.
    let living = |id: Id| sessions.list.iter().rev().find(|session| session.id == id);
    let reopened = |id: Id| changes.reopened.iter().any(|&(known, was_closed)| known == id && was_closed);
    let mut closed_changed = changes.reopened.iter().any(|(_, was_closed)| *was_closed);
    for ceased in changes.ceased.iter().filter(|ceased| living(ceased.id).is_none()) {
        let key = RecordKey::new(owner.site, ceased.id);
        write(ceased, &key, owner, rules, true, cx, sink);
        propensity::emit(&key, &ceased.activity, owner.history, owner, scorer, true, cx, sink);
        if ceased.closed || reopened(ceased.id) {
            engagement::emit(&key, ceased, owner, rules, true, cx, sink);
            closed_changed = true;
        }
    }
    for unscored in changes.unscored.iter().filter(|old| living(old.id).is_some_and(|now| now.activity.is_empty())) {
        let key = RecordKey::new(owner.site, unscored.id);
        propensity::emit(&key, &unscored.activity, owner.history, owner, scorer, true, cx, sink);
    }
    for &(id, consent) in changes.blank.iter().filter(|(id, _)| living(*id).is_some_and(|now| now.activity.is_empty()))
    {
        let key = RecordKey::new(owner.site, id);
        propensity::retract_blank(&key, consent, owner, scorer, cx, sink);
    }
    for session in changes.reopened.iter().filter_map(|(id, _)| living(*id)).filter(|session| !session.closed) {
        let key = RecordKey::new(owner.site, session.id);
        engagement::emit(&key, session, owner, rules, true, cx, sink);
    }
    for &(id, rescore) in &changes.touched {
        // One that has ceased since was retracted above, if it was ever seen.
        let Some(session) = living(id) else { continue };
        let key = RecordKey::new(owner.site, id);
        write(session, &key, owner, rules, false, cx, sink);
        if rescore {
            emit_score(sessions, session, &key, owner, scorer, cx, sink);
        }
        if session.closed {
            engagement::emit(&key, session, owner, rules, false, cx, sink);
        }
        // An earlier visit under the same key may be the one that was amended.
        closed_changed |=
            session.closed || session.by_tracker && sessions.list.iter().any(|other| other.id == id && other.closed);
    }
    for session in overtaken(sessions, changes, owner) {
        let key = RecordKey::new(owner.site, session.id);
        emit_score(sessions, session, &key, owner, scorer, cx, sink);
    }
    closed_changed
}

/// Emits one session that was closed by a timer, with its engagement.
pub fn emit_closed(session: &Session, owner: &Owner<'_>, rules: &Rules, cx: &Context<'_>, sink: &mut impl Sink) {
    let key = RecordKey::new(owner.site, session.id);
    write(session, &key, owner, rules, false, cx, sink);
    engagement::emit(&key, session, owner, rules, false, cx, sink);
}

fn emit_score(
    sessions: &SourceSessions,
    session: &Session,
    key: &RecordKey,
    owner: &Owner<'_>,
    scorer: &dyn Scorer,
    cx: &Context<'_>,
    sink: &mut impl Sink,
) {
    let history = owner.history.map(|freed| {
        let mut history = *freed;
        let before = sessions.list.iter().take_while(|other| other.first.order < session.first.order);
        before.for_each(|other| history.add(&other.activity));
        history
    });
    propensity::emit(key, &session.activity, history.as_ref(), owner, scorer, false, cx, sink);
}

/// Sessions after one whose activity has changed, which were not changed themselves: what was before them is another now.
fn overtaken<'a>(
    sessions: &'a SourceSessions,
    changes: &'a Changes,
    owner: &Owner<'_>,
) -> impl Iterator<Item = &'a Session> {
    let rescored = |id: Id| changes.touched.iter().any(|&(touched, rescore)| rescore && touched == id);
    let earliest = owner.history.and_then(|_| {
        let changed = sessions.list.iter().filter(|session| rescored(session.id)).map(|session| session.first.order);
        let ceased = changes.ceased.iter().chain(&changes.unscored).map(|session| session.first.order);
        changed.chain(ceased).min()
    });
    let list = &sessions.list;
    let after = list.iter().enumerate().filter(move |(_, session)| earliest.is_some_and(|e| session.first.order > e));
    let latest = after.filter(|(at, session)| is_latest(session, list.get(at + 1..).unwrap_or_default()));
    latest.map(|(_, session)| &**session).filter(move |session| !rescored(session.id))
}
