-- The newest revision of each key. Read it through identities_current.
CREATE TABLE IF NOT EXISTS identities_latest
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
    `previous_person` Nullable(String) COMMENT 'Whom it belonged to before.'
)
ENGINE = ReplacingMergeTree(revision, retracted)
ORDER BY (site, source)
SETTINGS non_replicated_deduplication_window = 10000
