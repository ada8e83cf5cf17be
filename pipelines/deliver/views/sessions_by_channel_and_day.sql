-- Sessions by channel and day (UTC) of their start, suspected bots left out.
SELECT
    site,
    channel,
    CAST(started_at AS DATE) AS day,
    count(*) AS sessions,
    sum(page_views) AS page_views,
    sum(CASE WHEN purchases > 0 THEN 1 ELSE 0 END) AS sessions_with_purchase,
    sum(purchases) AS purchases,
    avg(duration_ms) AS mean_duration_ms
FROM sessions_current
WHERE NOT is_bot
GROUP BY site, channel, CAST(started_at AS DATE)
