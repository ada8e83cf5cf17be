-- The probability of a (further) purchase in the rest of this session, and of one by this person within 7 days; re-scored on each informative event. Every revision.
CREATE TABLE IF NOT EXISTS scores_propensity
(
    `site` LowCardinality(String) COMMENT 'The shop.',
    `session_id` String COMMENT 'The session scored.',
    `revision` UInt64 COMMENT 'Hand-over count (high 16 bits) and input offset (low 48): the highest revision of a key is its current row.',
    `idempotency_key` String COMMENT 'hash(topic, key, revision): equal for equal records, so that a subscriber can drop what it has seen.',
    `retracted` Bool COMMENT 'True where the key has ceased; the row is then no longer current.',
    `event_time` DateTime64(3, 'UTC') COMMENT 'Event time this revision speaks of, UTC.',
    `source_event` String COMMENT 'Id of the event that caused this revision; empty where a timer did.',
    `watermark` DateTime64(3, 'UTC') COMMENT 'The task\'s watermark when this revision was made.',
    `consent` Int32 COMMENT 'Consent purposes as bits: 1 necessary, 2 analytics, 4 personalization, 8 advertising.',
    `is_bot` Bool COMMENT 'Suspected automated traffic.',
    `source` String COMMENT 'The source.',
    `person` String COMMENT 'The person.',
    `user_id` Nullable(String) COMMENT 'User id behind the person. Personal data.',
    `scored_at` DateTime64(3, 'UTC') COMMENT 'The source event\'s time; never the wall clock.',
    `p_purchase` Float64 COMMENT 'Calibrated probability, 0 to 1; of a heuristic only a ranking.',
    `p_raw` Float64 COMMENT 'Before calibration.',
    `p_purchase_7d` Nullable(Float64) COMMENT 'Calibrated probability that the person buys within 7 days of scored_at, 0 to 1. Null of the heuristic, which does not say.',
    `p_7d_raw` Nullable(Float64) COMMENT 'The same before calibration.',
    `role` LowCardinality(String) COMMENT 'champion, challenger or fallback (the labelled heuristic).',
    `model` LowCardinality(String) COMMENT 'Model name; `heuristic` for the fallback.',
    `model_version` LowCardinality(String) COMMENT 'Its version.',
    `calibration_version` LowCardinality(String) COMMENT 'Version of the calibration; `none` where there is none.',
    `feature_schema_hash` String COMMENT 'Which features, in which order.',
    `events_seen` Int64 COMMENT 'Informative events of the session at that point.',
    `reasons` Array(String) COMMENT 'Up to three features that moved the score most, strongest first.',
    `log_partition` UInt32 COMMENT 'Partition of the topic the row came from.',
    `log_offset` UInt64 COMMENT 'Offset in it.',
    INDEX by_log_position (log_partition, log_offset) TYPE minmax GRANULARITY 4
)
ENGINE = MergeTree
ORDER BY (site, session_id, revision)
SETTINGS non_replicated_deduplication_window = 10000
