-- Bad input with its reason and its original bytes. Nothing that was accepted by the collector vanishes.
CREATE TABLE IF NOT EXISTS events_rejected
(
    `rejection_id` String COMMENT 'topic:partition:offset, or data set:file:line for an import.',
    `revision` UInt64 COMMENT 'Input offset (or line).',
    `retracted` Bool COMMENT 'Always false.',
    `event_time` DateTime64(3, 'UTC') COMMENT 'When it was received; for an import the best time known, or the epoch.',
    `site` LowCardinality(String) COMMENT 'The shop, empty where unknown.',
    `stage` LowCardinality(String) COMMENT 'import, ingest, profile or deliver.',
    `reason` LowCardinality(String) COMMENT 'Machine-readable reason.',
    `field` Nullable(String) COMMENT 'The field at fault.',
    `detail` String COMMENT 'What was wrong and what to do.',
    `topic` LowCardinality(Nullable(String)) COMMENT 'Where it came from.',
    `partition` Nullable(Int32) COMMENT 'Where it came from.',
    `offset` Nullable(Int64) COMMENT 'Where it came from.',
    `data_set` Nullable(String) COMMENT 'Import only.',
    `file` Nullable(String) COMMENT 'Import only.',
    `line` Nullable(Int64) COMMENT 'Import only, from 1.',
    `event_id` Nullable(String) COMMENT 'The sender\'s id, where it could be read.',
    `payload` String COMMENT 'The original bytes. Personal data.',
    `log_partition` UInt32 COMMENT 'Partition of the topic the row came from.',
    `log_offset` UInt64 COMMENT 'Offset in it.',
    INDEX by_log_position (log_partition, log_offset) TYPE minmax GRANULARITY 4
)
ENGINE = MergeTree
ORDER BY (site, event_time, rejection_id)
SETTINGS non_replicated_deduplication_window = 10000
