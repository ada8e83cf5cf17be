-- Recency, frequency and monetary value in fifths of a site's customers, 5 the best, suspected bots left out. Equal customers share the
-- lowest fifth that one of them has, so that a fifth may be empty: where most bought once, most have frequency 1.
SELECT
    g.site AS site,
    g.recency AS recency,
    g.frequency AS frequency,
    g.monetary AS monetary,
    count(*) AS customers,
    sum(g.revenue_minor) AS revenue_minor,
    sum(g.clv_365d_minor) AS clv_365d_minor
FROM (
    SELECT
        r.site AS site,
        CAST(1 + floor(5.0 * (r.by_recency - 1) / r.customers) AS INTEGER) AS recency,
        CAST(1 + floor(5.0 * (r.by_frequency - 1) / r.customers) AS INTEGER) AS frequency,
        CAST(1 + floor(5.0 * (r.by_revenue - 1) / r.customers) AS INTEGER) AS monetary,
        r.revenue_minor AS revenue_minor,
        r.clv_365d_minor AS clv_365d_minor
    FROM (
        SELECT
            c.site AS site,
            rank() OVER (PARTITION BY c.site ORDER BY c.last_order_at) AS by_recency,
            rank() OVER (PARTITION BY c.site ORDER BY c.purchase_days) AS by_frequency,
            rank() OVER (PARTITION BY c.site ORDER BY c.revenue_minor) AS by_revenue,
            count(*) OVER (PARTITION BY c.site) AS customers,
            c.revenue_minor AS revenue_minor,
            coalesce(c.clv_365d_minor, 0) AS clv_365d_minor
        FROM clv_current AS c
        WHERE c.orders > 0 AND NOT c.is_bot
    ) AS r
) AS g
GROUP BY g.site, g.recency, g.frequency, g.monetary
