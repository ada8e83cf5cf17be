-- Orders with what is left after the refunds that name them, in minor units of the order's currency.
SELECT
    site,
    order_id,
    event_time,
    person,
    user_id,
    currency,
    amount_minor,
    refunded_minor,
    amount_minor - refunded_minor AS net_minor,
    lines,
    quantity
FROM orders_current
