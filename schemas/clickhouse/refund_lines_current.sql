-- One line of a refund. A revision with fewer lines retracts the rest.
-- One row a key: its newest revision, unless that one is retracted.
CREATE OR REPLACE VIEW refund_lines_current AS
SELECT `site`, `refund_id`, `line_no`, `order_id`, `revision`, `idempotency_key`, `retracted`, `event_time`, `source_event`, `watermark`, `consent`, `is_bot`, `person`, `user_id`, `currency`, `product_id`, `product_name`, `product_category`, `quantity`, `unit_price`, `amount_minor`, `cost_minor`
FROM refund_lines_latest FINAL
WHERE retracted = 0
