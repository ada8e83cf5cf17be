-- Copies every revision into refund_matches_latest.
CREATE MATERIALIZED VIEW IF NOT EXISTS refund_matches_feed TO refund_matches_latest AS
SELECT `site`, `refund_id`, `line_no`, `revision`, `idempotency_key`, `retracted`, `event_time`, `source_event`, `watermark`, `consent`, `is_bot`, `person`, `user_id`, `product_id`, `currency`, `quantity`, `amount_minor`, `matched_quantity`, `matched_minor`, `unmatched_quantity`, `unmatched_minor`, `order_ids`
FROM refund_matches
