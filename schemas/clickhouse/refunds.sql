-- One refund, posted on its date. Unmatched where it names no order, or one that is not known (yet) or of another currency. Every revision.
CREATE TABLE IF NOT EXISTS refunds
(
    `site` LowCardinality(String) COMMENT 'The shop.',
    `refund_id` String COMMENT 'The shop\'s refund id, or the event\'s id.',
    `revision` UInt64 COMMENT 'Hand-over count (high 16 bits) and input offset (low 48): the highest revision of a key is its current row.',
    `idempotency_key` String COMMENT 'hash(topic, key, revision): equal for equal records, so that a subscriber can drop what it has seen.',
    `retracted` Bool COMMENT 'True where the key has ceased; the row is then no longer current.',
    `event_time` DateTime64(3, 'UTC') COMMENT 'Event time this revision speaks of, UTC.',
    `source_event` String COMMENT 'Id of the event that caused this revision; empty where a timer did.',
    `watermark` DateTime64(3, 'UTC') COMMENT 'The task\'s watermark when this revision was made.',
    `consent` Int32 COMMENT 'Consent purposes as bits: 1 necessary, 2 analytics, 4 personalization, 8 advertising.',
    `is_bot` Bool COMMENT 'Suspected automated traffic.',
    `order_id` Nullable(String) COMMENT 'The order it names.',
    `match` LowCardinality(String) COMMENT 'matched or unmatched.',
    `source` Nullable(String) COMMENT 'Source of the refund event.',
    `person` Nullable(String) COMMENT 'Whose; null without identity.',
    `user_id` Nullable(String) COMMENT 'User id behind the person. Personal data.',
    `currency` LowCardinality(String) COMMENT 'Currency.',
    `amount_minor` Int64 COMMENT 'Amount given back; never negative. In minor units.',
    `lines` Int64 COMMENT 'Number of lines.',
    `log_partition` UInt32 COMMENT 'Partition of the topic the row came from.',
    `log_offset` UInt64 COMMENT 'Offset in it.',
    INDEX by_log_position (log_partition, log_offset) TYPE minmax GRANULARITY 4
)
ENGINE = MergeTree
ORDER BY (site, refund_id, revision)
SETTINGS non_replicated_deduplication_window = 10000
