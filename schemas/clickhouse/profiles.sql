-- One person: identity, behaviour and worth, from closed sessions and orders. Every revision here; the current one of each person, compacted, in profiles.latest. Every revision.
CREATE TABLE IF NOT EXISTS profiles
(
    `site` LowCardinality(String) COMMENT 'The shop.',
    `person` String COMMENT 'The person.',
    `revision` UInt64 COMMENT 'Hand-over count (high 16 bits) and input offset (low 48): the highest revision of a key is its current row.',
    `idempotency_key` String COMMENT 'hash(topic, key, revision): equal for equal records, so that a subscriber can drop what it has seen.',
    `retracted` Bool COMMENT 'True where the key has ceased; the row is then no longer current.',
    `event_time` DateTime64(3, 'UTC') COMMENT 'Event time this revision speaks of, UTC.',
    `source_event` String COMMENT 'Id of the event that caused this revision; empty where a timer did.',
    `watermark` DateTime64(3, 'UTC') COMMENT 'The task\'s watermark when this revision was made.',
    `consent` Int32 COMMENT 'Consent purposes as bits: 1 necessary, 2 analytics, 4 personalization, 8 advertising.',
    `is_bot` Bool COMMENT 'Suspected automated traffic.',
    `user_id` Nullable(String) COMMENT 'User id behind the person. Personal data.',
    `sources` Int32 COMMENT 'Devices and logins with a closed session or an order.',
    `first_seen_at` DateTime64(3, 'UTC') COMMENT 'First event of the first closed session, or the first order.',
    `last_seen_at` DateTime64(3, 'UTC') COMMENT 'Last event of the latest closed session, or the latest order.',
    `sessions` Int64 COMMENT 'Closed sessions.',
    `page_views` Int64 COMMENT 'Page views in them.',
    `engaged_ms` Int64 COMMENT 'Engaged time in them. In ms.',
    `first_channel` LowCardinality(String) COMMENT 'Channel of the first closed session; none where it has none.',
    `last_channel` LowCardinality(String) COMMENT 'Channel of the latest closed session, the one with the latest event.',
    `last_device_class` LowCardinality(String) COMMENT 'Device class of the latest closed session.',
    `country` LowCardinality(Nullable(String)) COMMENT 'Country of the latest closed session that has one.',
    `orders` Int64 COMMENT 'Orders.',
    `revenue_minor` Int64 COMMENT 'Net revenue ever. In minor units.',
    `currency` LowCardinality(String) COMMENT 'The site\'s reporting currency.',
    `first_order_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'First order.',
    `last_order_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'Latest order.',
    `churn_tier` LowCardinality(String) COMMENT 'As in scores.churn; none before an order.',
    `clv_tier` LowCardinality(String) COMMENT 'As in clv; none before an order.',
    `engagement_score` Float64 COMMENT 'Mean engagement score of the closed sessions, 0 to 100.',
    `log_partition` UInt32 COMMENT 'Partition of the topic the row came from.',
    `log_offset` UInt64 COMMENT 'Offset in it.',
    INDEX by_log_position (log_partition, log_offset) TYPE minmax GRANULARITY 4
)
ENGINE = MergeTree
ORDER BY (site, person, revision)
SETTINGS non_replicated_deduplication_window = 10000
