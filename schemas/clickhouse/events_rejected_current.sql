-- Bad input with its reason and its original bytes. Nothing that was accepted by the collector vanishes.
-- One row a key: its newest revision, unless that one is retracted.
CREATE OR REPLACE VIEW events_rejected_current AS
SELECT `rejection_id`, `revision`, `retracted`, `event_time`, `site`, `stage`, `reason`, `field`, `detail`, `topic`, `partition`, `offset`, `data_set`, `file`, `line`, `event_id`, `payload`
FROM events_rejected
WHERE retracted = 0
