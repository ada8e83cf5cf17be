-- Copies every revision into refunds_latest.
CREATE MATERIALIZED VIEW IF NOT EXISTS refunds_feed TO refunds_latest AS
SELECT `site`, `refund_id`, `revision`, `idempotency_key`, `retracted`, `event_time`, `source_event`, `watermark`, `consent`, `is_bot`, `order_id`, `match`, `source`, `person`, `user_id`, `currency`, `amount_minor`, `lines`
FROM refunds
