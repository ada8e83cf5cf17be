//! The record of a profile.

use millstream_schemas::{Id, Profile, purposes};

use super::Figures;
use crate::core::{Context, RecordKey, Sink};
use crate::person::Person;
use crate::site::SiteConfig;

/// The tier of a person without order.
const NO_TIER: &str = "none";

/// Emits the profile as it is now. Where there is none any more, its retraction, if there may have been one (`was_there`).
pub fn emit(id: Id, person: &Person, site: &SiteConfig, was_there: bool, cx: &Context<'_>, sink: &mut impl Sink) {
    // A person's partition never changes, so that there is nothing to count in the revision's high bits.
    let revision = cx.revision(0);
    let key = RecordKey::new(&person.site, id);
    let row = Profile {
        site: &person.site,
        person: id,
        revision,
        idempotency_key: key.idempotency_key(Profile::TOPIC, revision),
        event_time: cx.event_time_ms,
        source_event: cx.source_event,
        watermark: cx.watermark_column_ms(),
        user_id: person.user_id.as_deref(),
        currency: &site.currency,
        churn_tier: NO_TIER,
        clv_tier: NO_TIER,
        first_channel: "none",
        last_channel: "none",
        last_device_class: "unknown",
        ..Profile::default()
    };
    let (churn_tier, clv_tier) = person.trade.as_ref().map_or((None, None), |trade| trade.tiers());
    let Some(figures) = Figures::of(person) else {
        if was_there {
            sink.profile(&Profile {
                retracted: true,
                // Nothing is left that could forbid a purpose; and who was told of the row before must learn that it has ceased.
                consent: purposes::ALL,
                first_seen_at: cx.event_time_ms,
                last_seen_at: cx.event_time_ms,
                ..row
            });
        }
        return;
    };
    let visits = &figures.visits;
    sink.profile(&Profile {
        consent: figures.consent,
        is_bot: figures.is_bot,
        churn_tier: churn_tier.map_or(NO_TIER, |tier| tier.as_str()),
        clv_tier: clv_tier.map_or(NO_TIER, |tier| tier.as_str()),
        sources: i32::try_from(figures.sources).unwrap_or(i32::MAX),
        first_seen_at: figures.first_seen_ms(),
        last_seen_at: figures.last_seen_ms(),
        sessions: i64::from(visits.sessions),
        page_views: i64::from(visits.page_views),
        engaged_ms: i64::from(visits.engaged_ms),
        first_channel: visits.first_channel(),
        last_channel: visits.last_channel(),
        last_device_class: visits.last_device_class(),
        country: visits.country(),
        orders: i64::try_from(figures.orders).unwrap_or(i64::MAX),
        revenue_minor: figures.revenue_minor,
        first_order_at: figures.first_order_ms,
        last_order_at: figures.last_order_ms,
        engagement_score: visits.engagement_score(),
        ..row
    });
}
