-- Whose a source is: the current row names the source's person now.
-- One row a key: its newest revision, unless that one is retracted.
CREATE OR REPLACE VIEW identities_current AS
SELECT `site`, `source`, `revision`, `retracted`, `event_time`, `source_event`, `change`, `device_id`, `user_id`, `person`, `previous_person`
FROM identities_latest FINAL
WHERE retracted = 0
