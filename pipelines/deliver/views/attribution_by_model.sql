-- What each attribution model credits to each channel, side by side, by day (UTC) of the order, suspected bots left out. Amounts are net of
-- refunds, in minor units of the currency; orders are shares of orders. Every model's columns add up to the same totals.
SELECT
    a.site AS site,
    a.channel AS channel,
    CAST(a.ordered_at AS DATE) AS day,
    a.currency AS currency,
    sum(CASE WHEN a.model = 'first' THEN a.credited_minor ELSE 0 END) AS first_minor,
    sum(CASE WHEN a.model = 'last' THEN a.credited_minor ELSE 0 END) AS last_minor,
    sum(CASE WHEN a.model = 'last_non_direct' THEN a.credited_minor ELSE 0 END) AS last_non_direct_minor,
    sum(CASE WHEN a.model = 'linear' THEN a.credited_minor ELSE 0 END) AS linear_minor,
    sum(CASE WHEN a.model = 'time_decay' THEN a.credited_minor ELSE 0 END) AS time_decay_minor,
    sum(CASE WHEN a.model = 'position' THEN a.credited_minor ELSE 0 END) AS position_minor,
    sum(CASE WHEN a.model = 'first' THEN a.weight ELSE 0.0 END) AS first_orders,
    sum(CASE WHEN a.model = 'last' THEN a.weight ELSE 0.0 END) AS last_orders,
    sum(CASE WHEN a.model = 'last_non_direct' THEN a.weight ELSE 0.0 END) AS last_non_direct_orders,
    sum(CASE WHEN a.model = 'linear' THEN a.weight ELSE 0.0 END) AS linear_orders,
    sum(CASE WHEN a.model = 'time_decay' THEN a.weight ELSE 0.0 END) AS time_decay_orders,
    sum(CASE WHEN a.model = 'position' THEN a.weight ELSE 0.0 END) AS position_orders
FROM attribution_current AS a
WHERE NOT a.is_bot
GROUP BY a.site, a.channel, CAST(a.ordered_at AS DATE), a.currency
