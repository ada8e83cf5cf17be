-- Dead letters by stage and reason, with the first and the last time they came.
SELECT
    stage,
    reason,
    count(*) AS records,
    min(event_time) AS first_event_time,
    max(event_time) AS last_event_time
FROM events_rejected_current
GROUP BY stage, reason
