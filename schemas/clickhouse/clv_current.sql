-- What a customer has been worth, in trailing windows and since the first order, and is expected to be. Made anew on each order or refund; by timer only when the tier changes or a configured difference is passed.
-- One row a key: its newest revision, unless that one is retracted.
CREATE OR REPLACE VIEW clv_current AS
SELECT `site`, `person`, `revision`, `idempotency_key`, `retracted`, `event_time`, `source_event`, `watermark`, `consent`, `is_bot`, `user_id`, `scored_at`, `currency`, `orders`, `orders_without_rate`, `refunds_without_rate`, `revenue_minor`, `unmatched_refunds_minor`, `margin_minor`, `revenue_30d_minor`, `margin_30d_minor`, `revenue_90d_minor`, `margin_90d_minor`, `revenue_365d_minor`, `margin_365d_minor`, `first_30d_revenue_minor`, `first_30d_margin_minor`, `first_90d_revenue_minor`, `first_90d_margin_minor`, `first_365d_revenue_minor`, `first_365d_margin_minor`, `clv_30d_minor`, `clv_90d_minor`, `clv_365d_minor`, `recency_days`, `purchase_days`, `mean_order_day_minor`, `first_order_at`, `last_order_at`, `tier`, `role`, `model`, `model_version`
FROM clv_latest FINAL
WHERE retracted = 0
