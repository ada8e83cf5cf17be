-- The share of one order that one model credits to one touch. The credits of an order sum to it exactly under every model; refunds and late touches revise, credits that moved are retracted. Every revision.
CREATE TABLE IF NOT EXISTS attribution
(
    `site` LowCardinality(String) COMMENT 'The shop.',
    `order_id` String COMMENT 'The order.',
    `model` LowCardinality(String) COMMENT 'first, last, last_non_direct, linear, time_decay or position.',
    `touch_id` String COMMENT 'The touch: a session, an offline touch, or hash(order) where no touch is known.',
    `revision` UInt64 COMMENT 'Hand-over count (high 16 bits) and input offset (low 48): the highest revision of a key is its current row.',
    `idempotency_key` String COMMENT 'hash(topic, key, revision): equal for equal records, so that a subscriber can drop what it has seen.',
    `retracted` Bool COMMENT 'True where the key has ceased; the row is then no longer current.',
    `event_time` DateTime64(3, 'UTC') COMMENT 'Time of the order.',
    `source_event` String COMMENT 'Id of the event that caused this revision; empty where a timer did.',
    `watermark` DateTime64(3, 'UTC') COMMENT 'The task\'s watermark when this revision was made.',
    `consent` Int32 COMMENT 'Consent purposes that order and touch both allow, as bits: 1 necessary, 2 analytics, 4 personalization, 8 advertising.',
    `is_bot` Bool COMMENT 'Suspected automated traffic.',
    `person` String COMMENT 'The person.',
    `user_id` Nullable(String) COMMENT 'User id behind the person. Personal data.',
    `channel` LowCardinality(String) COMMENT 'Channel of the touch; none where no touch is known.',
    `utm_source` Nullable(String) COMMENT 'Campaign source.',
    `utm_medium` Nullable(String) COMMENT 'Campaign medium.',
    `utm_campaign` Nullable(String) COMMENT 'Campaign.',
    `touch_kind` LowCardinality(String) COMMENT 'session, offline or none.',
    `touched_at` DateTime64(3, 'UTC') COMMENT 'Time of the touch; of the order where none is known.',
    `ordered_at` DateTime64(3, 'UTC') COMMENT 'Time of the order.',
    `position` Int32 COMMENT 'Place of the touch in the path, from 1; 0 where no touch is known.',
    `touches` Int32 COMMENT 'Touches in the path.',
    `weight` Float64 COMMENT 'Share of the order, 0 to 1.',
    `currency` LowCardinality(String) COMMENT 'Currency of the order.',
    `gross_minor` Int64 COMMENT 'Credited revenue before refunds. In minor units.',
    `refunded_minor` Int64 COMMENT 'Credited refunds: those that name the order and those matched to it. In minor units.',
    `credited_minor` Int64 COMMENT 'Credited revenue net of refunds: gross less refunded. In minor units.',
    `reporting_credited_minor` Nullable(Int64) COMMENT 'Net credit in the site\'s reporting currency; null without a rate. In minor units.',
    `margin_minor` Nullable(Int64) COMMENT 'Credited margin: net credit less the credited cost of the order; null without cost. In minor units.',
    `log_partition` UInt32 COMMENT 'Partition of the topic the row came from.',
    `log_offset` UInt64 COMMENT 'Offset in it.',
    INDEX by_log_position (log_partition, log_offset) TYPE minmax GRANULARITY 4
)
ENGINE = MergeTree
ORDER BY (site, order_id, model, touch_id, revision)
SETTINGS non_replicated_deduplication_window = 10000
