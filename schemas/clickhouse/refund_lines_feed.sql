-- Copies every revision into refund_lines_latest.
CREATE MATERIALIZED VIEW IF NOT EXISTS refund_lines_feed TO refund_lines_latest AS
SELECT `site`, `refund_id`, `line_no`, `order_id`, `revision`, `idempotency_key`, `retracted`, `event_time`, `source_event`, `watermark`, `consent`, `is_bot`, `person`, `user_id`, `currency`, `product_id`, `product_name`, `product_category`, `quantity`, `unit_price`, `amount_minor`, `cost_minor`
FROM refund_lines
