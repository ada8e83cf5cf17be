-- What a refund line without order id takes back: matched newest-first by customer and product, consuming quantities; the rest is posted unmatched on its date.
-- One row a key: its newest revision, unless that one is retracted.
CREATE OR REPLACE VIEW refund_matches_current AS
SELECT `site`, `refund_id`, `line_no`, `revision`, `idempotency_key`, `retracted`, `event_time`, `source_event`, `watermark`, `consent`, `is_bot`, `person`, `user_id`, `product_id`, `currency`, `quantity`, `amount_minor`, `matched_quantity`, `matched_minor`, `unmatched_quantity`, `unmatched_minor`, `order_ids`
FROM refund_matches_latest FINAL
WHERE retracted = 0
