-- Copies every revision into orders_latest.
CREATE MATERIALIZED VIEW IF NOT EXISTS orders_feed TO orders_latest AS
SELECT `site`, `order_id`, `revision`, `idempotency_key`, `retracted`, `event_time`, `source_event`, `watermark`, `consent`, `is_bot`, `source`, `person`, `user_id`, `currency`, `amount_minor`, `reporting_amount_minor`, `rate_id`, `tax_minor`, `shipping_minor`, `discount_minor`, `coupon`, `lines`, `quantity`, `refunded_minor`
FROM orders
