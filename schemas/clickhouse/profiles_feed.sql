-- Copies every revision into profiles_latest.
CREATE MATERIALIZED VIEW IF NOT EXISTS profiles_feed TO profiles_latest AS
SELECT `site`, `person`, `revision`, `idempotency_key`, `retracted`, `event_time`, `source_event`, `watermark`, `consent`, `is_bot`, `user_id`, `sources`, `first_seen_at`, `last_seen_at`, `sessions`, `page_views`, `engaged_ms`, `first_channel`, `last_channel`, `last_device_class`, `country`, `orders`, `revenue_minor`, `currency`, `first_order_at`, `last_order_at`, `churn_tier`, `clv_tier`, `engagement_score`
FROM profiles
