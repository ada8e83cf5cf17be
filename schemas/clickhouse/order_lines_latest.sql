-- The newest revision of each key. Read it through order_lines_current.
CREATE TABLE IF NOT EXISTS order_lines_latest
(
    `site` LowCardinality(String) COMMENT 'The shop.',
    `order_id` String COMMENT 'The order.',
    `line_no` Int32 COMMENT 'Position, from 1.',
    `revision` UInt64 COMMENT 'Hand-over count (high 16 bits) and input offset (low 48): the highest revision of a key is its current row.',
    `idempotency_key` String COMMENT 'hash(topic, key, revision): equal for equal records, so that a subscriber can drop what it has seen.',
    `retracted` Bool COMMENT 'True where the key has ceased; the row is then no longer current.',
    `event_time` DateTime64(3, 'UTC') COMMENT 'Event time this revision speaks of, UTC.',
    `source_event` String COMMENT 'Id of the event that caused this revision; empty where a timer did.',
    `watermark` DateTime64(3, 'UTC') COMMENT 'The task\'s watermark when this revision was made.',
    `consent` Int32 COMMENT 'Consent purposes as bits: 1 necessary, 2 analytics, 4 personalization, 8 advertising.',
    `is_bot` Bool COMMENT 'Suspected automated traffic.',
    `person` Nullable(String) COMMENT 'Who bought; null without identity.',
    `user_id` Nullable(String) COMMENT 'User id behind the person. Personal data.',
    `currency` LowCardinality(String) COMMENT 'Currency.',
    `product_id` String COMMENT 'The shop\'s product id.',
    `product_name` Nullable(String) COMMENT 'Name at the time of sale.',
    `product_category` Nullable(String) COMMENT 'Category at the time of sale.',
    `quantity` Int64 COMMENT 'Pieces; positive. In pieces.',
    `unit_price` Decimal(18, 6) COMMENT 'Price a piece, in the order\'s currency, before order discounts. In major units.',
    `amount_minor` Int64 COMMENT 'The line\'s amount. Lines sum to the order\'s amount exactly where the shop gave no line amounts (largest remainder). In minor units.',
    `cost_minor` Nullable(Int64) COMMENT 'The line\'s cost, where known. In minor units.'
)
ENGINE = ReplacingMergeTree(revision, retracted)
ORDER BY (site, order_id, line_no)
SETTINGS non_replicated_deduplication_window = 10000
