-- The probability of a (further) purchase in the rest of this session, and of one by this person within 7 days; re-scored on each informative event.
-- One row a key: its newest revision, unless that one is retracted.
CREATE OR REPLACE VIEW scores_propensity_current AS
SELECT `site`, `session_id`, `revision`, `idempotency_key`, `retracted`, `event_time`, `source_event`, `watermark`, `consent`, `is_bot`, `source`, `person`, `user_id`, `scored_at`, `p_purchase`, `p_raw`, `p_purchase_7d`, `p_7d_raw`, `role`, `model`, `model_version`, `calibration_version`, `feature_schema_hash`, `events_seen`, `reasons`
FROM scores_propensity_latest FINAL
WHERE retracted = 0
