//! UCI Online Retail: 541,909 invoice lines as orders and refunds, against the counts that every paper on it quotes.

use millstream_tests::binary::Installation;

use crate::{data, mapping};

const PURCHASES: &[(&str, &str)] = &[
    // Clean lines of known customers.
    (
        "select count(*), count(distinct user_id), count(distinct order_id), sum(amount_minor) from order_lines_current \
         where user_id is not null and unit_price > 0",
        "397884|4338|18532|891140790",
    ),
    // Gifts: accepted at zero.
    (
        "select count(*), sum(amount_minor) from order_lines_current where user_id is not null and unit_price = 0",
        "40|0",
    ),
    // Four orders of nothing but gifts, and one customer who never paid.
    (
        "select count(*), sum(lines), sum(amount_minor), count(distinct user_id) from orders_current \
         where user_id is not null",
        "18536|397924|891140790|4339",
    ),
    ("select count(*) from orders_current where user_id is not null and amount_minor = 0", "4"),
    // Without a customer: orders, but nobody's.
    (
        "select count(*), sum(lines), sum(amount_minor) from orders_current where user_id is null",
        "1428|132220|175527664",
    ),
    ("select count(*) from orders_current where person is null", "1428"),
    ("select count(*), sum(amount_minor) from order_lines_current where user_id is null", "132220|175527664"),
    ("select count(distinct person) from orders_current", "4339"),
    // Lines add up to their orders exactly.
    (
        "select count(*) from orders_current o join (select order_id, sum(amount_minor) as total from order_lines_current \
         group by order_id) l on l.order_id = o.order_id where l.total <> o.amount_minor",
        "0",
    ),
];

const REFUNDS: &[(&str, &str)] = &[
    ("select count(*), sum(amount_minor) from refund_lines_current where user_id is not null", "8905|61134209"),
    ("select count(*) from refund_lines_current where user_id is null", "383"),
    (
        "select sum(minor) from (select amount_minor as minor from order_lines_current where user_id is not null \
         union all select -amount_minor as minor from refund_lines_current where user_id is not null) as net",
        "830006581",
    ),
    // A credit note names no order.
    ("select match, count(distinct order_id) from refunds_current group by match", "unmatched|0"),
];

/// A credit note names no order: its lines take back the newest orders of their customer and product that have pieces left.
const MATCHES: &[(&str, &str)] = &[
    ("select count(*), sum(amount_minor) from refund_matches_current where user_id is not null", "8905|61134209"),
    ("select count(*) from refund_matches_current where unmatched_quantity > 0", "1389"),
    ("select count(*) from refund_matches_current where matched_quantity = 0", "1335"),
    ("select count(*) from refund_matches_current where matched_quantity > 0 and unmatched_quantity > 0", "54"),
    // Posted unmatched, each on its own date.
    ("select sum(unmatched_minor) from refund_matches_current", "13737363"),
    (
        "select count(*) from refund_matches_current m join refund_lines_current r \
         on r.refund_id = m.refund_id and r.line_no = m.line_no \
         where m.event_time = r.event_time and m.quantity = r.quantity and m.amount_minor = r.amount_minor \
         and m.matched_quantity + m.unmatched_quantity = r.quantity and m.matched_minor + m.unmatched_minor = r.amount_minor",
        "8905",
    ),
    // What is matched is of earlier orders, and what is left of them and of the unmatched is the net revenue.
    (
        "select sum(minor) from (select amount_minor as minor from orders_current where user_id is not null \
         union all select -matched_minor as minor from refund_matches_current \
         union all select -unmatched_minor as minor from refund_matches_current) as net",
        "830006581",
    ),
];

/// Every order of a known customer is credited whole under every model, before refunds and after those that were matched to it.
const CREDITS: &[(&str, &str)] = &[
    (
        "select model, count(*), count(distinct order_id), sum(gross_minor), sum(refunded_minor), sum(credited_minor) \
         from attribution_current group by model order by model",
        "first|18536|18536|891140790|47396846|843743944\nlast|18536|18536|891140790|47396846|843743944\n\
         last_non_direct|18536|18536|891140790|47396846|843743944\nlinear|18536|18536|891140790|47396846|843743944\n\
         position|18536|18536|891140790|47396846|843743944\ntime_decay|18536|18536|891140790|47396846|843743944",
    ),
    // Invoices say nothing of visits.
    ("select channel, touch_kind, count(*) from attribution_current group by channel, touch_kind", "none|none|111216"),
    // Less what was posted unmatched, the credits of a model are the net revenue.
    (
        "select sum(minor) from (select credited_minor as minor from attribution_current where model = 'linear' \
         union all select -unmatched_minor as minor from refund_matches_current) as net",
        "830006581",
    ),
    // Order by order, too.
    (
        "select count(*) from orders_current o join (select order_id, sum(gross_minor) as gross from attribution_current \
         where model = 'position' group by order_id) c on c.order_id = o.order_id where c.gross <> o.amount_minor",
        "0",
    ),
];

const ALL: &[(&str, &str)] = &[
    (
        "select detail, count(*) from events_rejected where reason = 'mapping_rule' and stage = 'import' \
         group by detail order by detail",
        "negative quantity outside a credit note|1336\nnon-positive price without a customer|1141",
    ),
    ("select count(*), count(distinct line) from events_rejected", "2477|2477"),
    // Every line of the file is somewhere.
    (
        "select (select count(*) from order_lines_current) + (select count(*) from refund_lines_current) \
         + (select count(*) from events_rejected)",
        "541909",
    ),
    ("select count(*), sum(amount_minor) from orders_net", "19964|1066668454"),
    // Europe/London: the first invoice was written at 08:26 in winter, 08:26 UTC; one of 1 June 2011 at 07:37 was at 06:37 UTC.
    ("select min(event_time) from orders_current", "2010-12-01T08:26:00.000Z"),
    (
        "select min(event_time) from orders_current where event_time >= '2011-06-01T00:00:00Z'",
        "2011-06-01T06:37:00.000Z",
    ),
];

fn check(test: &str, installation: &Installation) {
    let Some(file) = data(test, "online_retail/online_retail.csv.gz") else { return };
    let said = installation.import(&mapping("online_retail.toml"), std::slice::from_ref(&file));
    assert!(said.contains("541909 rows"), "{said}");
    for figures in [PURCHASES, REFUNDS, MATCHES, CREDITS, ALL] {
        installation.expect(figures);
    }
    // The same import again changes nothing.
    let said = installation.import(&mapping("online_retail.toml"), &[file]);
    assert!(said.contains("imported before"), "{said}");
    installation.expect(&PURCHASES[..1]);
}

#[test]
fn online_retail_embedded() {
    check("online_retail_embedded", &Installation::embedded());
}

#[test]
fn online_retail_kafka_clickhouse() {
    let test = "online_retail_kafka_clickhouse";
    if data(test, "").is_some()
        && let Some(installation) = Installation::on_servers(test)
    {
        check(test, &installation);
    }
}
