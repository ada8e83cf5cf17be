-- Copies every revision into attribution_latest.
CREATE MATERIALIZED VIEW IF NOT EXISTS attribution_feed TO attribution_latest AS
SELECT `site`, `order_id`, `model`, `touch_id`, `revision`, `idempotency_key`, `retracted`, `event_time`, `source_event`, `watermark`, `consent`, `is_bot`, `person`, `user_id`, `channel`, `utm_source`, `utm_medium`, `utm_campaign`, `touch_kind`, `touched_at`, `ordered_at`, `position`, `touches`, `weight`, `currency`, `gross_minor`, `refunded_minor`, `credited_minor`, `reporting_credited_minor`, `margin_minor`
FROM attribution
