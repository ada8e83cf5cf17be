-- One line of an order. A revision with fewer lines retracts the rest.
-- One row a key: its newest revision, unless that one is retracted.
CREATE OR REPLACE VIEW order_lines_current AS
SELECT `site`, `order_id`, `line_no`, `revision`, `idempotency_key`, `retracted`, `event_time`, `source_event`, `watermark`, `consent`, `is_bot`, `person`, `user_id`, `currency`, `product_id`, `product_name`, `product_category`, `quantity`, `unit_price`, `amount_minor`, `cost_minor`
FROM order_lines_latest FINAL
WHERE retracted = 0
