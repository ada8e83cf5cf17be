-- Sessions by channel and day (UTC) of their start, suspected bots left out.
SELECT
    s.site AS site,
    s.channel AS channel,
    CAST(s.started_at AS DATE) AS day,
    count(*) AS sessions,
    sum(s.page_views) AS page_views,
    sum(CASE WHEN s.purchases > 0 THEN 1 ELSE 0 END) AS sessions_with_purchase,
    sum(s.purchases) AS purchases,
    avg(s.duration_ms) AS mean_duration_ms
FROM sessions_current AS s
WHERE NOT s.is_bot
GROUP BY s.site, s.channel, CAST(s.started_at AS DATE)
