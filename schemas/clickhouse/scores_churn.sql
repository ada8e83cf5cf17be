-- How likely a customer is to buy again and how often: BG/NBD on purchase days of orders with the purpose personalization. Made anew on each order; by timer only when the tier changes or a configured difference is passed. Every revision.
CREATE TABLE IF NOT EXISTS scores_churn
(
    `site` LowCardinality(String) COMMENT 'The shop.',
    `person` String COMMENT 'The customer.',
    `revision` UInt64 COMMENT 'Hand-over count (high 16 bits) and input offset (low 48): the highest revision of a key is its current row.',
    `idempotency_key` String COMMENT 'hash(topic, key, revision): equal for equal records, so that a subscriber can drop what it has seen.',
    `retracted` Bool COMMENT 'True where the key has ceased; the row is then no longer current.',
    `event_time` DateTime64(3, 'UTC') COMMENT 'Event time this revision speaks of, UTC.',
    `source_event` String COMMENT 'Id of the event that caused this revision; empty where a timer did.',
    `watermark` DateTime64(3, 'UTC') COMMENT 'The task\'s watermark when this revision was made.',
    `consent` Int32 COMMENT 'Consent purposes as bits: 1 necessary, 2 analytics, 4 personalization, 8 advertising.',
    `is_bot` Bool COMMENT 'Suspected automated traffic.',
    `user_id` Nullable(String) COMMENT 'User id behind the person. Personal data.',
    `scored_at` DateTime64(3, 'UTC') COMMENT 'The moment it is computed for: the latest order\'s time, or the timer\'s due time.',
    `purchase_days` Int64 COMMENT 'Days with at least one order that scores may use. In days.',
    `repeat_days` Int64 COMMENT 'Purchase days after the first (x). In days.',
    `first_order_at` DateTime64(3, 'UTC') COMMENT 'Start of the first purchase day in the site\'s time zone, as UTC.',
    `last_order_at` DateTime64(3, 'UTC') COMMENT 'Start of the latest one.',
    `p_active_30d` Float64 COMMENT 'Probability of at least one purchase in the next 30 days, 0 to 1.',
    `p_active_90d` Float64 COMMENT 'Probability of at least one purchase in the next 90 days, 0 to 1.',
    `p_active_365d` Float64 COMMENT 'Probability of at least one purchase in the next 365 days, 0 to 1.',
    `expected_orders_30d` Float64 COMMENT 'Expected purchase days in the next 30 days.',
    `expected_orders_90d` Float64 COMMENT 'Expected purchase days in the next 90 days.',
    `expected_orders_365d` Float64 COMMENT 'Expected purchase days in the next 365 days.',
    `tier` LowCardinality(String) COMMENT 'active, cooling, at_risk or lost, by p_active_90d.',
    `role` LowCardinality(String) COMMENT 'champion, or fallback: the built-in parameters, because the shop has set none.',
    `model` LowCardinality(String) COMMENT 'bg_nbd.',
    `model_version` LowCardinality(String) COMMENT 'Version of its parameters.',
    `reasons` Array(String) COMMENT 'What moved p_active_90d most, strongest first: days_since_last_purchase, single_purchase, repeat_purchases or rare_purchases.',
    `log_partition` UInt32 COMMENT 'Partition of the topic the row came from.',
    `log_offset` UInt64 COMMENT 'Offset in it.',
    INDEX by_log_position (log_partition, log_offset) TYPE minmax GRANULARITY 4
)
ENGINE = MergeTree
ORDER BY (site, person, revision)
SETTINGS non_replicated_deduplication_window = 10000
