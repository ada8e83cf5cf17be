-- Advertising cost beside what each attribution model credits, by channel, campaign, day (UTC) and currency, suspected bots left out. Cost
-- stands on the day it was spent, credits on the day of the order; both are there, whether the other is or not. Campaign is empty where
-- none is named. Sum over days or campaigns before you divide.
SELECT
    u.site AS site,
    u.channel AS channel,
    u.campaign AS campaign,
    u.day AS day,
    u.currency AS currency,
    u.model AS model,
    sum(u.spend_minor) AS spend_minor,
    sum(u.orders) AS orders,
    sum(u.gross_minor) AS gross_minor,
    sum(u.credited_minor) AS credited_minor
FROM (
    SELECT
        a.site AS site,
        a.channel AS channel,
        coalesce(a.utm_campaign, '') AS campaign,
        CAST(a.ordered_at AS DATE) AS day,
        a.currency AS currency,
        a.model AS model,
        0 AS spend_minor,
        a.weight AS orders,
        a.gross_minor AS gross_minor,
        a.credited_minor AS credited_minor
    FROM attribution_current AS a
    WHERE NOT a.is_bot
    UNION ALL
    SELECT
        e.site AS site,
        coalesce(e.spend_channel, '') AS channel,
        coalesce(e.spend_campaign, '') AS campaign,
        CAST(e.event_time AS DATE) AS day,
        coalesce(e.currency, '') AS currency,
        m.model AS model,
        coalesce(e.amount_minor, 0) AS spend_minor,
        0.0 AS orders,
        0 AS gross_minor,
        0 AS credited_minor
    FROM events_current AS e
    CROSS JOIN (
        SELECT 'first' AS model
        UNION ALL SELECT 'last' AS model
        UNION ALL SELECT 'last_non_direct' AS model
        UNION ALL SELECT 'linear' AS model
        UNION ALL SELECT 'time_decay' AS model
        UNION ALL SELECT 'position' AS model
    ) AS m
    WHERE e.event_type = 'spend'
) AS u
GROUP BY u.site, u.channel, u.campaign, u.day, u.currency, u.model
