-- Customers by the month (UTC) of their first order, suspected bots left out: how many there are, and what those brought in their first
-- 30, 90 and 365 days whose days are over. Divide a revenue by the `aged` beside it: customers are compared at equal age.
SELECT
    c.site AS site,
    CAST(date_trunc('month', coalesce(c.first_order_at, c.scored_at)) AS DATE) AS cohort,
    c.currency AS currency,
    count(*) AS customers,
    sum(CASE WHEN c.first_30d_revenue_minor IS NOT NULL THEN 1 ELSE 0 END) AS aged_30d,
    sum(coalesce(c.first_30d_revenue_minor, 0)) AS first_30d_revenue_minor,
    sum(CASE WHEN c.first_90d_revenue_minor IS NOT NULL THEN 1 ELSE 0 END) AS aged_90d,
    sum(coalesce(c.first_90d_revenue_minor, 0)) AS first_90d_revenue_minor,
    sum(CASE WHEN c.first_365d_revenue_minor IS NOT NULL THEN 1 ELSE 0 END) AS aged_365d,
    sum(coalesce(c.first_365d_revenue_minor, 0)) AS first_365d_revenue_minor,
    sum(c.revenue_minor) AS revenue_minor,
    sum(coalesce(c.clv_365d_minor, 0)) AS clv_365d_minor
FROM clv_current AS c
WHERE c.orders > 0 AND NOT c.is_bot
GROUP BY c.site, CAST(date_trunc('month', coalesce(c.first_order_at, c.scored_at)) AS DATE), c.currency
