-- Copies every revision into identities_latest.
CREATE MATERIALIZED VIEW IF NOT EXISTS identities_feed TO identities_latest AS
SELECT `site`, `source`, `revision`, `retracted`, `event_time`, `source_event`, `change`, `device_id`, `user_id`, `person`, `previous_person`
FROM identities
