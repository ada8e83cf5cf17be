-- The newest revision of each key. Read it through orders_current.
CREATE TABLE IF NOT EXISTS orders_latest
(
    `site` LowCardinality(String) COMMENT 'The shop.',
    `order_id` String COMMENT 'The shop\'s order id.',
    `revision` UInt64 COMMENT 'Hand-over count (high 16 bits) and input offset (low 48): the highest revision of a key is its current row.',
    `idempotency_key` String COMMENT 'hash(topic, key, revision): equal for equal records, so that a subscriber can drop what it has seen.',
    `retracted` Bool COMMENT 'True where the key has ceased; the row is then no longer current.',
    `event_time` DateTime64(3, 'UTC') COMMENT 'Event time this revision speaks of, UTC.',
    `source_event` String COMMENT 'Id of the event that caused this revision; empty where a timer did.',
    `watermark` DateTime64(3, 'UTC') COMMENT 'The task\'s watermark when this revision was made.',
    `consent` Int32 COMMENT 'Consent purposes as bits: 1 necessary, 2 analytics, 4 personalization, 8 advertising.',
    `is_bot` Bool COMMENT 'Suspected automated traffic.',
    `source` Nullable(String) COMMENT 'Source of the purchase.',
    `person` Nullable(String) COMMENT 'Who bought; null where the event had no identity.',
    `user_id` Nullable(String) COMMENT 'User id behind the person. Personal data.',
    `currency` LowCardinality(String) COMMENT 'Currency.',
    `amount_minor` Int64 COMMENT 'Revenue. In minor units.',
    `reporting_amount_minor` Nullable(Int64) COMMENT 'In the site\'s reporting currency; null without a rate. In minor units.',
    `rate_id` Nullable(String) COMMENT 'The rate\'s id; null where no conversion was needed.',
    `tax_minor` Nullable(Int64) COMMENT 'Tax in it. In minor units.',
    `shipping_minor` Nullable(Int64) COMMENT 'Shipping in it. In minor units.',
    `discount_minor` Nullable(Int64) COMMENT 'Discount given. In minor units.',
    `coupon` Nullable(String) COMMENT 'Coupon code.',
    `lines` Int64 COMMENT 'Number of lines.',
    `quantity` Int64 COMMENT 'Pieces in all. In pieces.',
    `refunded_minor` Int64 COMMENT 'Refunds that name this order. In minor units.'
)
ENGINE = ReplacingMergeTree(revision, retracted)
ORDER BY (site, order_id)
SETTINGS non_replicated_deduplication_window = 10000
