-- Whether scores mean what they say: of closed sessions, the first score after three informative events, in ten bins of the probability,
-- beside the share that then bought in the same session. Calibrated scores have mean_p near bought_share in every bin.
SELECT
    judged.site AS site,
    judged.model AS model,
    judged.model_version AS model_version,
    judged.role AS role,
    floor(judged.p * 10) / 10 AS p_from,
    count(*) AS sessions,
    avg(judged.p) AS mean_p,
    avg(CASE WHEN judged.bought_after > 0 THEN 1.0 ELSE 0.0 END) AS bought_share
FROM (
    SELECT
        r.site AS site,
        r.session_id AS session_id,
        r.model AS model,
        r.model_version AS model_version,
        r.role AS role,
        r.p_purchase AS p,
        sum(CASE WHEN o.event_time > r.event_time AND o.event_time <= s.ended_at THEN 1 ELSE 0 END) AS bought_after
    FROM (
        SELECT
            p.site AS site,
            p.session_id AS session_id,
            p.model AS model,
            p.model_version AS model_version,
            p.role AS role,
            p.p_purchase AS p_purchase,
            p.event_time AS event_time,
            row_number() OVER (PARTITION BY p.site, p.session_id ORDER BY p.revision) AS place
        FROM scores_propensity AS p
        WHERE p.events_seen >= 3 AND NOT p.retracted
    ) AS r
    INNER JOIN sessions_current AS s ON s.site = r.site AND s.session_id = r.session_id
    LEFT JOIN orders_current AS o ON o.site = s.site AND o.source = s.source
    WHERE r.place = 1 AND s.state = 'closed' AND NOT s.is_bot
    GROUP BY r.site, r.session_id, r.model, r.model_version, r.role, r.p_purchase
) AS judged
GROUP BY judged.site, judged.model, judged.model_version, judged.role, floor(judged.p * 10) / 10
