-- Copies every revision into scores_churn_latest.
CREATE MATERIALIZED VIEW IF NOT EXISTS scores_churn_feed TO scores_churn_latest AS
SELECT `site`, `person`, `revision`, `idempotency_key`, `retracted`, `event_time`, `source_event`, `watermark`, `consent`, `is_bot`, `user_id`, `scored_at`, `purchase_days`, `repeat_days`, `first_order_at`, `last_order_at`, `p_active_30d`, `p_active_90d`, `p_active_365d`, `expected_orders_30d`, `expected_orders_90d`, `expected_orders_365d`, `tier`, `role`, `model`, `model_version`, `reasons`
FROM scores_churn
