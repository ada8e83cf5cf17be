-- Copies every revision into scores_propensity_latest.
CREATE MATERIALIZED VIEW IF NOT EXISTS scores_propensity_feed TO scores_propensity_latest AS
SELECT `site`, `session_id`, `revision`, `idempotency_key`, `retracted`, `event_time`, `source_event`, `watermark`, `consent`, `is_bot`, `source`, `person`, `user_id`, `scored_at`, `p_purchase`, `p_raw`, `p_purchase_7d`, `p_7d_raw`, `role`, `model`, `model_version`, `calibration_version`, `feature_schema_hash`, `events_seen`, `reasons`
FROM scores_propensity
