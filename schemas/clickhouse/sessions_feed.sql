-- Copies every revision into sessions_latest.
CREATE MATERIALIZED VIEW IF NOT EXISTS sessions_feed TO sessions_latest AS
SELECT `site`, `session_id`, `revision`, `idempotency_key`, `retracted`, `event_time`, `source_event`, `watermark`, `consent`, `is_bot`, `source`, `person`, `user_id`, `device_id`, `tracker_session_id`, `started_at`, `ended_at`, `state`, `closed_at`, `events`, `page_views`, `product_views`, `searches`, `cart_adds`, `cart_removes`, `checkout_steps`, `purchases`, `revenue_minor`, `currency`, `engaged_ms`, `duration_ms`, `scroll_depth_pct`, `funnel_depth`, `entry_page`, `exit_page`, `entry_referrer`, `channel`, `utm_source`, `utm_medium`, `utm_campaign`, `device_class`, `os`, `browser`, `country`
FROM sessions
