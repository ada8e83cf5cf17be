-- How engaged a session was, once it is closed; retracted while a late event has re-opened it.
-- One row a key: its newest revision, unless that one is retracted.
CREATE OR REPLACE VIEW scores_engagement_current AS
SELECT `site`, `session_id`, `revision`, `idempotency_key`, `retracted`, `event_time`, `source_event`, `watermark`, `consent`, `is_bot`, `source`, `person`, `user_id`, `scored_at`, `engaged_ms`, `page_views`, `scroll_depth_pct`, `funnel_depth`, `score`, `score_version`, `reasons`
FROM scores_engagement_latest FINAL
WHERE retracted = 0
