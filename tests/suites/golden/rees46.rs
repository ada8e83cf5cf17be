//! A sample of the REES46 multi-category store: sessions by a gap of 30 minutes, and purchases that are orders of one row.

use millstream_tests::binary::Installation;

use crate::{NOTHING_REJECTED, data, mapping};

const FIGURES: &[(&str, &str)] = &[
    ("select count(*) from events", "17434"),
    ("select count(*) from events_current", "17434"),
    NOTHING_REJECTED,
    (
        "select event_type, count(*) from events group by event_type order by event_type",
        "add_to_cart|165\nproduct_view|17055\npurchase|214",
    ),
    // The file's last event says which sessions are over; the others are there, open.
    ("select count(*) from sessions_current", "4518"),
    ("select state, count(*) from sessions_current group by state order by state", "closed|631\nopen|3887"),
    ("select sum(events), sum(purchases), sum(revenue_minor) from sessions_current", "17434|214|5944263"),
    // 4,504 users, of whom 14 came twice.
    ("select count(distinct user_id) from sessions_current", "4504"),
    // Each purchase row is its own order.
    ("select count(*), count(distinct order_id), sum(amount_minor) from orders_current", "214|214|5944263"),
    ("select count(*), sum(quantity), sum(amount_minor) from order_lines_current", "214|214|5944263"),
    ("select sum(net_minor), sum(refunded_minor) from orders_net", "5944263|0"),
    ("select sum(sessions), sum(purchases) from sessions_by_channel_and_day", "4518|214"),
    // Counted from the file: 193 sessions with a purchase, 49 more with a cart and no purchase; whoever bought without a cart has used one.
    ("select sum(sessions), sum(viewed_product), sum(used_cart), sum(purchased) from funnel", "4518|4518|242|193"),
    // Of the 631 closed sessions 160 have three events or more; two of these bought after the third.
    ("select sum(sessions), cast(round(sum(bought_share * sessions)) as bigint) from score_calibration", "160|2"),
];

fn check(test: &str, installation: &Installation) {
    let Some(file) = data(test, "rees46_sample/2019-Oct_first17434.csv.gz") else { return };
    let said = installation.import(&mapping("rees46.toml"), &[file]);
    assert!(said.contains("17434 rows, 17434 events, 0 rows rejected"), "{said}");
    installation.expect(FIGURES);
}

#[test]
fn rees46_embedded() {
    check("rees46_embedded", &Installation::embedded());
}

#[test]
fn rees46_kafka_clickhouse() {
    let test = "rees46_kafka_clickhouse";
    if data(test, "").is_some()
        && let Some(installation) = Installation::on_servers(test)
    {
        check(test, &installation);
    }
}
