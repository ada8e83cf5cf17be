-- Return on advertising spend: credited revenue net of refunds by cost, for each model, channel and month (UTC). Null where nothing was
-- spent; a share of revenue that the model gives to the channel, not what the advertising caused.
SELECT
    c.site AS site,
    c.channel AS channel,
    CAST(date_trunc('month', c.day) AS DATE) AS month,
    c.currency AS currency,
    c.model AS model,
    sum(c.spend_minor) AS spend_minor,
    sum(c.orders) AS orders,
    sum(c.credited_minor) AS credited_minor,
    CASE WHEN sum(c.spend_minor) > 0 THEN sum(c.credited_minor) * 1.0 / sum(c.spend_minor) ELSE NULL END AS roas
FROM spend_and_credits AS c
GROUP BY c.site, c.channel, CAST(date_trunc('month', c.day) AS DATE), c.currency, c.model
