-- Customers by the tier they were last told to be in, with what is expected of them and what is at stake, suspected bots left out. A
-- score is told anew where the tier changes, so that tiers are as of today; for sums as of one day ask `millstream as-of`.
SELECT
    s.site AS site,
    s.tier AS tier,
    s.model AS model,
    s.model_version AS model_version,
    s.role AS role,
    count(*) AS customers,
    sum(s.p_active_90d) AS active_90d,
    sum(s.expected_orders_90d) AS expected_orders_90d,
    sum(coalesce(v.clv_365d_minor, 0)) AS clv_365d_minor
FROM scores_churn_current AS s
LEFT JOIN clv_current AS v ON v.site = s.site AND v.person = s.person
WHERE NOT s.is_bot
GROUP BY s.site, s.tier, s.model, s.model_version, s.role
