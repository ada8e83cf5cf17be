-- Copies every revision into order_lines_latest.
CREATE MATERIALIZED VIEW IF NOT EXISTS order_lines_feed TO order_lines_latest AS
SELECT `site`, `order_id`, `line_no`, `revision`, `idempotency_key`, `retracted`, `event_time`, `source_event`, `watermark`, `consent`, `is_bot`, `person`, `user_id`, `currency`, `product_id`, `product_name`, `product_category`, `quantity`, `unit_price`, `amount_minor`, `cost_minor`
FROM order_lines
