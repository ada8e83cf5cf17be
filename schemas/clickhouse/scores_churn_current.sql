-- How likely a customer is to buy again and how often: BG/NBD on purchase days of orders with the purpose personalization. Made anew on each order; by timer only when the tier changes or a configured difference is passed.
-- One row a key: its newest revision, unless that one is retracted.
CREATE OR REPLACE VIEW scores_churn_current AS
SELECT `site`, `person`, `revision`, `idempotency_key`, `retracted`, `event_time`, `source_event`, `watermark`, `consent`, `is_bot`, `user_id`, `scored_at`, `purchase_days`, `repeat_days`, `first_order_at`, `last_order_at`, `p_active_30d`, `p_active_90d`, `p_active_365d`, `expected_orders_30d`, `expected_orders_90d`, `expected_orders_365d`, `tier`, `role`, `model`, `model_version`, `reasons`
FROM scores_churn_latest FINAL
WHERE retracted = 0
