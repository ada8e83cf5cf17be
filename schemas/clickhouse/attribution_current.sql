-- The share of one order that one model credits to one touch. The credits of an order sum to it exactly under every model; refunds and late touches revise, credits that moved are retracted.
-- One row a key: its newest revision, unless that one is retracted.
CREATE OR REPLACE VIEW attribution_current AS
SELECT `site`, `order_id`, `model`, `touch_id`, `revision`, `idempotency_key`, `retracted`, `event_time`, `source_event`, `watermark`, `consent`, `is_bot`, `person`, `user_id`, `channel`, `utm_source`, `utm_medium`, `utm_campaign`, `touch_kind`, `touched_at`, `ordered_at`, `position`, `touches`, `weight`, `currency`, `gross_minor`, `refunded_minor`, `credited_minor`, `reporting_credited_minor`, `margin_minor`
FROM attribution_latest FINAL
WHERE retracted = 0
