-- One person: identity, behaviour and worth, from closed sessions and orders. Every revision here; the current one of each person, compacted, in profiles.latest.
-- One row a key: its newest revision, unless that one is retracted.
CREATE OR REPLACE VIEW profiles_current AS
SELECT `site`, `person`, `revision`, `idempotency_key`, `retracted`, `event_time`, `source_event`, `watermark`, `consent`, `is_bot`, `user_id`, `sources`, `first_seen_at`, `last_seen_at`, `sessions`, `page_views`, `engaged_ms`, `first_channel`, `last_channel`, `last_device_class`, `country`, `orders`, `revenue_minor`, `currency`, `first_order_at`, `last_order_at`, `churn_tier`, `clv_tier`, `engagement_score`
FROM profiles_latest FINAL
WHERE retracted = 0
