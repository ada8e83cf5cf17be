-- How far sessions got, by channel and day (UTC) of their start, suspected bots left out. Each step counts the sessions that reached it or a
-- later one, so that the columns never rise from left to right.
SELECT
    s.site AS site,
    s.channel AS channel,
    CAST(s.started_at AS DATE) AS day,
    count(*) AS sessions,
    sum(CASE WHEN s.funnel_depth >= 2 THEN 1 ELSE 0 END) AS listed,
    sum(CASE WHEN s.funnel_depth >= 3 THEN 1 ELSE 0 END) AS viewed_product,
    sum(CASE WHEN s.funnel_depth >= 4 THEN 1 ELSE 0 END) AS used_cart,
    sum(CASE WHEN s.funnel_depth >= 5 THEN 1 ELSE 0 END) AS checked_out,
    sum(CASE WHEN s.funnel_depth >= 6 THEN 1 ELSE 0 END) AS purchased
FROM sessions_current AS s
WHERE NOT s.is_bot
GROUP BY s.site, s.channel, CAST(s.started_at AS DATE)
