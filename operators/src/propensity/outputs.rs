//! The record of a score.

use millstream_schemas::{Id, Propensity};
use millstream_scoring::Scorer;

use super::{Activity, History};
use crate::core::{Context, RecordKey, Sink};
use crate::sessions::Owner;

/// Emits the score of a session whose informative events are `activity` and before which was `history`; `retracted` where the session
/// has ceased. Nothing for a session that no event with the purpose has reached.
#[expect(clippy::too_many_arguments, reason = "all of them are columns of one record")]
pub fn emit(
    key: &RecordKey,
    activity: &Activity,
    history: Option<&History>,
    owner: &Owner<'_>,
    scorer: &dyn Scorer,
    retracted: bool,
    cx: &Context<'_>,
    sink: &mut impl Sink,
) {
    if !activity.is_empty() {
        write(key, activity, history, owner, scorer, retracted, cx, sink);
    }
}

/// Retracts whatever was scored under the key of a session in which nothing has been yet. `consent` is that of the event that says so.
pub fn retract_blank(
    key: &RecordKey,
    consent: i32,
    owner: &Owner<'_>,
    scorer: &dyn Scorer,
    cx: &Context<'_>,
    sink: &mut impl Sink,
) {
    // Four purposes fit.
    let nothing = Activity { consent: consent as u8, ..Activity::default() };
    write(key, &nothing, None, owner, scorer, true, cx, sink);
}

#[expect(clippy::too_many_arguments, reason = "all of them are columns of one record")]
fn write(
    key: &RecordKey,
    activity: &Activity,
    history: Option<&History>,
    owner: &Owner<'_>,
    scorer: &dyn Scorer,
    retracted: bool,
    cx: &Context<'_>,
    sink: &mut impl Sink,
) {
    let score = scorer.score(&activity.features(history));
    let revision = cx.revision(owner.hand_overs);
    sink.propensity(&Propensity {
        site: owner.site,
        session_id: key.id,
        revision,
        idempotency_key: key.idempotency_key(Propensity::TOPIC, revision),
        retracted,
        event_time: cx.event_time_ms,
        source_event: cx.source_event,
        watermark: cx.watermark_column_ms(),
        consent: i32::from(activity.consent),
        is_bot: activity.is_bot,
        source: owner.source,
        person: owner.person,
        user_id: owner.user_id,
        scored_at: cx.event_time_ms,
        p_purchase: score.p,
        p_raw: score.p_raw,
        p_purchase_7d: score.within_7_days.map(|week| week.p),
        p_7d_raw: score.within_7_days.map(|week| week.p_raw),
        role: scorer.role().as_str(),
        model: scorer.model(),
        model_version: scorer.version(),
        calibration_version: scorer.calibration_version(),
        feature_schema_hash: Id(scorer.schema_hash()),
        events_seen: i64::from(activity.events),
        reasons: score.reasons.names().collect(),
    });
}
