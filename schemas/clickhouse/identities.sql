-- Whose a source is: the current row names the source's person now. Every revision.
CREATE TABLE IF NOT EXISTS identities
(
    `site` LowCardinality(String) COMMENT 'The shop.',
    `source` String COMMENT 'A device between logins, or a known user without device.',
    `revision` UInt64 COMMENT 'Input offset.',
    `retracted` Bool COMMENT 'Always false.',
    `event_time` DateTime64(3, 'UTC') COMMENT 'When it became so.',
    `source_event` String COMMENT 'Id of the event that decided it.',
    `change` LowCardinality(String) COMMENT 'created, identified or refused (an identify that would join two identified users).',
    `device_id` Nullable(String) COMMENT 'The device. Personal data.',
    `user_id` Nullable(String) COMMENT 'The user, once identified. Personal data.',
    `person` String COMMENT 'The person it belongs to.',
    `previous_person` Nullable(String) COMMENT 'Whom it belonged to before.',
    `log_partition` UInt32 COMMENT 'Partition of the topic the row came from.',
    `log_offset` UInt64 COMMENT 'Offset in it.',
    INDEX by_log_position (log_partition, log_offset) TYPE minmax GRANULARITY 4
)
ENGINE = MergeTree
ORDER BY (site, source, revision)
SETTINGS non_replicated_deduplication_window = 10000
