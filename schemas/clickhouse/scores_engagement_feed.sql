-- Copies every revision into scores_engagement_latest.
CREATE MATERIALIZED VIEW IF NOT EXISTS scores_engagement_feed TO scores_engagement_latest AS
SELECT `site`, `session_id`, `revision`, `idempotency_key`, `retracted`, `event_time`, `source_event`, `watermark`, `consent`, `is_bot`, `source`, `person`, `user_id`, `scored_at`, `engaged_ms`, `page_views`, `scroll_depth_pct`, `funnel_depth`, `score`, `score_version`, `reasons`
FROM scores_engagement
