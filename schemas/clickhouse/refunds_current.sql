-- One refund, posted on its date. Unmatched where it names no order, or one that is not known (yet) or of another currency.
-- One row a key: its newest revision, unless that one is retracted.
CREATE OR REPLACE VIEW refunds_current AS
SELECT `site`, `refund_id`, `revision`, `idempotency_key`, `retracted`, `event_time`, `source_event`, `watermark`, `consent`, `is_bot`, `order_id`, `match`, `source`, `person`, `user_id`, `currency`, `amount_minor`, `lines`
FROM refunds_latest FINAL
WHERE retracted = 0
