//! What is known of the Online Retail data set, as SQL that every warehouse answers.

use millstream_tests::binary::Installation;

/// Queries and their answers.
pub const ONLINE_RETAIL: [(&str, &str); 9] = [
    // Clean lines of known customers: lines, customers, orders, pence.
    (
        "select count(*) as n, count(distinct user_id) as c, count(distinct order_id) as o, sum(amount_minor) as m \
         from order_lines_current where user_id is not null and unit_price > 0",
        "397884|4338|18532|891140790",
    ),
    // Their gifts.
    (
        "select count(*) as n, sum(amount_minor) as m from order_lines_current where user_id is not null and unit_price = 0",
        "40|0",
    ),
    // Four orders of gifts only, of one more customer.
    (
        "select count(*) as n, count(distinct user_id) as c, sum(amount_minor) as m from orders_current where user_id is not null",
        "18536|4339|891140790",
    ),
    // Lines without a customer.
    (
        "select count(*) as n, count(distinct order_id) as o, sum(amount_minor) as m from order_lines_current where user_id is null",
        "132220|1428|175527664",
    ),
    ("select count(*) as n, sum(amount_minor) as m from orders_current where person is null", "1428|175527664"),
    // Refunds of known customers (£611,342.09), and of nobody.
    (
        "select count(*) as n, sum(amount_minor) as m from refund_lines_current where user_id is not null",
        "8905|61134209",
    ),
    ("select count(*) as n, count(distinct refund_id) as r from refund_lines_current where user_id is null", "383|182"),
    // Rejected rows.
    (
        "select count(*) as n from events_rejected_current where detail = 'negative quantity outside a credit note'",
        "1336",
    ),
    (
        "select count(*) as n from events_rejected_current where detail = 'non-positive price without a customer'",
        "1141",
    ),
];

/// Asserts them all.
pub fn assert_online_retail(installation: &Installation) {
    installation.expect(&ONLINE_RETAIL);
}
