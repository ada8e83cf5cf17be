-- One order, unique by site and order id: a reloaded thank-you page is a revision. Refunds that name it lower its net amount.
-- One row a key: its newest revision, unless that one is retracted.
CREATE OR REPLACE VIEW orders_current AS
SELECT `site`, `order_id`, `revision`, `idempotency_key`, `retracted`, `event_time`, `source_event`, `watermark`, `consent`, `is_bot`, `source`, `person`, `user_id`, `currency`, `amount_minor`, `reporting_amount_minor`, `rate_id`, `tax_minor`, `shipping_minor`, `discount_minor`, `coupon`, `lines`, `quantity`, `refunded_minor`
FROM orders_latest FINAL
WHERE retracted = 0
