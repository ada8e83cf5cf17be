-- One session of a source, open or closed. Late events amend it, bridge two into one, or give it a new first event: keys that cease are retracted.
-- One row a key: its newest revision, unless that one is retracted.
CREATE OR REPLACE VIEW sessions_current AS
SELECT `site`, `session_id`, `revision`, `idempotency_key`, `retracted`, `event_time`, `source_event`, `watermark`, `consent`, `is_bot`, `source`, `person`, `user_id`, `device_id`, `tracker_session_id`, `started_at`, `ended_at`, `state`, `closed_at`, `events`, `page_views`, `product_views`, `searches`, `cart_adds`, `cart_removes`, `checkout_steps`, `purchases`, `revenue_minor`, `currency`, `engaged_ms`, `duration_ms`, `scroll_depth_pct`, `funnel_depth`, `entry_page`, `exit_page`, `entry_referrer`, `channel`, `utm_source`, `utm_medium`, `utm_campaign`, `device_class`, `os`, `browser`, `country`
FROM sessions_latest FINAL
WHERE retracted = 0
