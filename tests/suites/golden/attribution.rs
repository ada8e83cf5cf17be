//! Visits, calls, letters, orders, refunds and spend of one shop, imported: who is credited, and what spending returned.

use std::path::PathBuf;

use millstream_tests::binary::Installation;

use crate::mapping;

/// Visits to the site, before the rest is imported.
const VISITS: &str = "at,user,url
2026-03-01T10:00:00Z,1017,https://shop.example/?utm_source=news&utm_medium=email&utm_campaign=spring
2026-03-03T10:00:00Z,1018,https://shop.example/
";

const VISITS_MAPPING: &str = r#"
data_set = "visits"
site = "shop"
[source]
format = "csv"
[time]
column = "at"
[[rule]]
event = "visit"
[event.visit]
type = "page_view"
user = "{user}"
page.url = "{url}"
"#;

const OFFLINE: &str = "at,kind,customer,order,channel,campaign,amount
2026-03-01T00:00:00Z,spend,,,email,spring,10.00
2026-03-02T08:00:00Z,touch,,A-1,direct_mail,spring,
2026-03-04T12:00:00Z,order,1018,B-1,,,50.00
2026-03-05T16:20:00Z,touch,1017,,call_centre,hotline,
2026-03-06T11:00:00Z,order,1017,A-1,,,100.00
2026-03-06T15:00:00Z,touch,1017,,call_centre,complaint,
2026-03-08T12:00:00Z,order,1019,C-1,,,7.00
2026-03-09T09:00:00Z,refund,1017,A-1,,,25.00
";

const FIGURES: &[(&str, &str)] = &[
    // The visit by user, the letter by order, the call by user; the complaint came after the order.
    (
        "select position, channel, touch_kind, utm_campaign, gross_minor, refunded_minor, credited_minor \
         from attribution_current where order_id = 'A-1' and model = 'linear' order by position",
        "1|email|session|spring|3334|834|2500\n2|direct_mail|offline|spring|3333|833|2500\n\
         3|call_centre|offline|hotline|3333|833|2500",
    ),
    (
        "select model, channel, credited_minor from attribution_current where order_id = 'A-1' \
         and model in ('first', 'last', 'last_non_direct') order by model",
        "first|email|7500\nlast|call_centre|7500\nlast_non_direct|call_centre|7500",
    ),
    (
        "select channel, credited_minor from attribution_current where order_id = 'A-1' and model = 'position' \
         order by position",
        "email|3000\ndirect_mail|1500\ncall_centre|3000",
    ),
    // A direct visit; and nothing known.
    (
        "select order_id, channel, touch_kind, count(*), sum(credited_minor) from attribution_current \
         where order_id <> 'A-1' group by order_id, channel, touch_kind order by order_id",
        "B-1|direct|session|6|30000\nC-1|none|none|6|4200",
    ),
    // Under every model all of it.
    (
        "select sum(first_minor), sum(last_minor), sum(last_non_direct_minor), sum(linear_minor), sum(time_decay_minor), \
         sum(position_minor) from attribution_by_model",
        "13200|13200|13200|13200|13200|13200",
    ),
    ("select sum(net_minor) from orders_net", "13200"),
    (
        "select channel, campaign, spend_minor, credited_minor from spend_and_credits where model = 'linear' \
         and campaign = 'spring' order by channel, day",
        "direct_mail|spring|0|2500\nemail|spring|1000|0\nemail|spring|0|2500",
    ),
    (
        "select channel, model, spend_minor, credited_minor, case when roas > 7.49 and roas < 7.51 then '7.5' else 'other' end \
         from roas where channel = 'email' and model = 'first'",
        "email|first|1000|7500|7.5",
    ),
];

fn check(installation: &Installation) {
    let visits: [PathBuf; 1] = [installation.write("visits.csv", VISITS)];
    let said = installation.import(&installation.write("visits.toml", VISITS_MAPPING), &visits);
    assert!(said.contains("2 rows"), "{said}");
    let offline = [installation.write("offline.csv", OFFLINE)];
    let said = installation.import(&mapping("offline.toml"), &offline);
    assert!(said.contains("8 rows"), "{said}");
    installation.expect(FIGURES);
}

#[test]
fn calls_and_letters_share_in_orders_embedded() {
    check(&Installation::embedded());
}

#[test]
fn calls_and_letters_share_in_orders_kafka_clickhouse() {
    if let Some(installation) = Installation::on_servers("calls_and_letters_share_in_orders_kafka_clickhouse") {
        check(&installation);
    }
}
