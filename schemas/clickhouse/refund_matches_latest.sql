-- The newest revision of each key. Read it through refund_matches_current.
CREATE TABLE IF NOT EXISTS refund_matches_latest
(
    `site` LowCardinality(String) COMMENT 'The shop.',
    `refund_id` String COMMENT 'The refund.',
    `line_no` Int32 COMMENT 'Its line, from 1.',
    `revision` UInt64 COMMENT 'Hand-over count (high 16 bits) and input offset (low 48): the highest revision of a key is its current row.',
    `idempotency_key` String COMMENT 'hash(topic, key, revision): equal for equal records, so that a subscriber can drop what it has seen.',
    `retracted` Bool COMMENT 'True where the key has ceased; the row is then no longer current.',
    `event_time` DateTime64(3, 'UTC') COMMENT 'Event time this revision speaks of, UTC.',
    `source_event` String COMMENT 'Id of the event that caused this revision; empty where a timer did.',
    `watermark` DateTime64(3, 'UTC') COMMENT 'The task\'s watermark when this revision was made.',
    `consent` Int32 COMMENT 'Consent purposes as bits: 1 necessary, 2 analytics, 4 personalization, 8 advertising.',
    `is_bot` Bool COMMENT 'Suspected automated traffic.',
    `person` String COMMENT 'Whose refund.',
    `user_id` Nullable(String) COMMENT 'User id behind the person. Personal data.',
    `product_id` String COMMENT 'The product.',
    `currency` LowCardinality(String) COMMENT 'Currency.',
    `quantity` Int64 COMMENT 'Pieces given back. In pieces.',
    `amount_minor` Int64 COMMENT 'Amount given back for them; never negative. In minor units.',
    `matched_quantity` Int64 COMMENT 'Pieces matched to earlier orders. In pieces.',
    `matched_minor` Int64 COMMENT 'Their share of the amount (in proportion to pieces, rounded down). In minor units.',
    `unmatched_quantity` Int64 COMMENT 'Pieces of no known order. In pieces.',
    `unmatched_minor` Int64 COMMENT 'Their share of the amount. In minor units.',
    `order_ids` Array(String) COMMENT 'Orders matched, newest first.'
)
ENGINE = ReplacingMergeTree(revision, retracted)
ORDER BY (site, refund_id, line_no)
SETTINGS non_replicated_deduplication_window = 10000
