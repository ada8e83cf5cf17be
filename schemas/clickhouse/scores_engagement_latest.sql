-- The newest revision of each key. Read it through scores_engagement_current.
CREATE TABLE IF NOT EXISTS scores_engagement_latest
(
    `site` LowCardinality(String) COMMENT 'The shop.',
    `session_id` String COMMENT 'The session.',
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
    `scored_at` DateTime64(3, 'UTC') COMMENT 'When the session was over: its last event plus gap.',
    `engaged_ms` Int64 COMMENT 'Engaged time from pings. In ms.',
    `page_views` Int64 COMMENT 'Page views.',
    `scroll_depth_pct` Int32 COMMENT 'Deepest scroll. In percent.',
    `funnel_depth` Int32 COMMENT '0 other, 1 page, 2 list or search, 3 product, 4 cart, 5 checkout, 6 purchase.',
    `score` Float64 COMMENT '0 to 100.',
    `score_version` LowCardinality(String) COMMENT 'Version of the formula, a documented heuristic.',
    `reasons` Array(String) COMMENT 'What the score is made of, largest share first: engaged_time, depth, page_views.'
)
ENGINE = ReplacingMergeTree(revision, retracted)
ORDER BY (site, session_id)
SETTINGS non_replicated_deduplication_window = 10000
