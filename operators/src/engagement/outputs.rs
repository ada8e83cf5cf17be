//! The record of a score.

use millstream_schemas::Engagement;

use super::{Parts, VERSION};
use crate::core::{Context, RecordKey, Sink};
use crate::sessions::{Owner, Rules, Session};

/// Emits the score of a closed session; `retracted` where it has ceased or is open again.
pub fn emit(
    key: &RecordKey,
    session: &Session,
    owner: &Owner<'_>,
    rules: &Rules,
    retracted: bool,
    cx: &Context<'_>,
    sink: &mut impl Sink,
) {
    let parts = Parts::of(session);
    let revision = cx.revision(owner.hand_overs);
    let closed_at_ms = rules.closes_at_ms(session);
    sink.engagement(&Engagement {
        site: owner.site,
        session_id: key.id,
        revision,
        idempotency_key: key.idempotency_key(Engagement::TOPIC, revision),
        retracted,
        event_time: closed_at_ms,
        source_event: cx.source_event,
        watermark: cx.watermark_column_ms(),
        consent: i32::from(session.consent),
        is_bot: session.is_bot,
        source: owner.source,
        person: owner.person,
        user_id: owner.user_id,
        scored_at: closed_at_ms,
        engaged_ms: session.engaged_ms,
        page_views: session.page_views(),
        scroll_depth_pct: i32::from(session.scroll_depth_pct),
        funnel_depth: i32::from(session.funnel_depth),
        score: f64::from(parts.hundredths()) / 100.0,
        score_version: VERSION,
        reasons: parts.reasons(),
    });
}
