//! CDNOW's customers of 1997: imported, then forecast as of 1997-09-30, against what they did in the 39 weeks after. The figures are those
//! of the published BG/NBD parameters, which are the built-in ones.

use std::collections::BTreeMap;

use millstream_tests::binary::Installation;

use crate::{NOTHING_REJECTED, data, mapping};

const SITE: &str = r#"
[[sites]]
name = "cdnow"
write_keys = ["unused-key"]

[sites.settings]
currency = "USD"
"#;

const FIGURES: &[(&str, &str)] = &[
    ("select count(*), count(distinct user_id), sum(amount_minor) from orders_current", "6696|2357|24409194"),
    // Days on which everything was free count.
    (
        "select count(*), count(distinct person) from orders_current where event_time < '1997-10-01T00:00:00Z'",
        "4814|2357",
    ),
    ("select count(*) from orders_current where event_time >= '1997-10-01T00:00:00Z'", "1882"),
    NOTHING_REJECTED,
];

/// What the operators told, as analysts ask for it.
const VALUES: &[(&str, &str)] = &[
    (
        "select count(*), sum(orders), sum(revenue_minor), sum(unmatched_refunds_minor) from clv_current",
        "2357|6696|24409194|0",
    ),
    ("select count(*) from clv_current where margin_minor is not null", "0"),
    (
        "select cohort, customers, aged_365d, first_30d_revenue_minor, first_90d_revenue_minor, first_365d_revenue_minor, \
         revenue_minor from clv_cohorts order by cohort",
        "1997-01-01|781|781|3266401|4204271|6840597|7884279\n1997-02-01|857|857|3674193|4650889|7687964|9068026\n\
         1997-03-01|719|719|3468529|4142585|6771128|7456889",
    ),
    ("select count(*), sum(customers), sum(revenue_minor) from rfm_grid", "60|2357|24409194"),
    (
        "select customers from rfm_grid where (recency = 5 and frequency = 5 and monetary = 5) \
         or (recency = 1 and frequency = 1 and monetary = 1) order by customers",
        "177\n233",
    ),
    ("select sum(customers), count(distinct model_version) from churn_tiers", "2357|1"),
];

/// The end of the log, by its watermark: the last day that is over. A year later: when somebody else's order has let time pass.
const LAST_DAY: &str = "1998-06-28";
const YEAR_LATER: &str = "1999-06-28";

/// (days ahead, expected purchase days, expected number of customers with at least one), of all customers.
const FORECASTS: [(u32, f64, f64); 4] =
    [(30, 218.55, 170.26), (90, 621.64, 359.93), (365, 2_093.98, 687.71), (273, 1_653.42, 617.03)];

fn near(what: &str, is: f64, should: f64) {
    assert!((is - should).abs() <= 1e-3 * should, "{what}: {is}, not {should}");
}

/// The answer of `as-of`, as CSV.
fn as_of(installation: &Installation, date: &str) -> String {
    let arguments = ["as-of", date, "--site", "cdnow", "--horizons", "30,90,365,273", "--format", "csv"];
    let output = installation.command().args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn check(test: &str, installation: &Installation) -> Option<String> {
    let file = data(test, "cdnow/CDNOW_sample.txt")?;
    // All of it waits in the log before anything is worked off: what partitions send to each other may come a year and a half late.
    let logged = installation
        .command()
        .args(["import", "--log-only", "--mapping"])
        .arg(mapping("cdnow.toml"))
        .arg(&file)
        .output();
    let said = String::from_utf8_lossy(&logged.unwrap().stderr).into_owned();
    assert!(said.contains("6919 rows, 6696 events, 0 rows rejected"), "{said}");
    let said = installation.import(&mapping("cdnow.toml"), &[file]);
    assert!(said.contains("imported before"), "{said}");
    installation.expect(FIGURES);
    let answer = as_of(installation, "1997-09-30");
    let mut reader = csv::ReaderBuilder::new().from_reader(answer.as_bytes());
    let header = reader.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|known| known == name).unwrap_or_else(|| panic!("no {name}"));
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let (total, customers) = rows.split_last().unwrap();
    let number = |row: &csv::StringRecord, name: &str| row[column(name)].parse::<f64>().unwrap();
    assert_eq!((&total[0], &total[1], number(total, "purchase_days")), ("total", "2357", 2_357.0 + 2_457.0));
    for (days, expected, active) in FORECASTS {
        let (expected_name, active_name) = (format!("expected_orders_{days}d"), format!("p_active_{days}d"));
        near(&expected_name, number(total, &expected_name), expected);
        near(&active_name, number(total, &active_name), active);
        let sum: f64 = customers.iter().map(|row| number(row, &expected_name)).sum();
        near("sum of the customers", sum, number(total, &expected_name));
    }
    let sql = "select person, count(*) from orders_current where event_time >= '1997-10-01T00:00:00Z' group by person";
    let mut bought: BTreeMap<String, f64> = BTreeMap::new();
    for row in installation.query(sql) {
        let (person, count) = row.split_once('|').unwrap();
        bought.insert(person.to_owned(), count.parse().unwrap());
    }
    assert_eq!(bought.values().sum::<f64>(), 1_882.0);
    let error = customers.iter().map(|row| {
        let actual = bought.remove(&row[column("person")]).unwrap_or(0.0);
        (number(row, "expected_orders_273d") - actual).abs()
    });
    near("mean absolute error", error.sum::<f64>() / customers.len() as f64, 0.7855);
    assert!(bought.is_empty(), "who bought later had bought before");
    let fitted = installation.command().args(["as-of", "1997-09-30", "--site", "cdnow", "--fit"]).output().unwrap();
    assert!(fitted.status.success(), "{}", String::from_utf8_lossy(&fitted.stderr));
    let fitted: serde_json::Value = serde_json::from_slice(&fitted.stdout).unwrap();
    // Published: from weeks rounded to hundredths.
    for (name, should) in [("r", 0.242_593), ("alpha", 4.413_532), ("a", 0.792_886), ("b", 2.425_753)] {
        near(name, fitted["bg_nbd"][name].as_f64().unwrap(), should);
    }
    installation.expect(VALUES);
    told_is_as_of(installation, LAST_DAY);
    let_a_year_pass(installation);
    told_is_as_of(installation, YEAR_LATER);
    Some(answer)
}

/// A newcomer's order: its time fires the timers of everybody else.
fn let_a_year_pass(installation: &Installation) {
    let text = std::fs::read_to_string(mapping("cdnow.toml")).unwrap();
    let text = text.replace("data_set = \"cdnow\"", "data_set = \"cdnow-later\"");
    let (later, data) = (installation.write("later.toml", &text), " 99999 9999 19990630  1   10.00\n");
    installation.import(&later, &[installation.write("later.txt", data)]);
    let fired = installation.query("select count(*) from scores_churn where source_event = ''");
    assert_ne!(fired, ["0"], "no timer has fired");
}

/// Tiers told by orders and timers are those that are computed as of the last day. Who has ordered since has been told of since.
fn told_is_as_of(installation: &Installation, date: &str) {
    let sql = format!("select person, tier from scores_churn_current where last_order_at <= '{date}T00:00:00Z'");
    let told = installation.query(&sql);
    let answer = as_of(installation, date);
    let mut computed: BTreeMap<&str, f64> = BTreeMap::new();
    for row in answer.lines().skip(1) {
        let fields: Vec<&str> = row.split(',').collect();
        computed.insert(fields[1], fields[9].parse().unwrap());
    }
    assert!(told.len() > 2_300, "{}", told.len());
    for row in told {
        let (person, tier) = row.split_once('|').unwrap();
        let should = match computed[person] {
            p if p >= 0.5 => "active",
            p if p >= 0.25 => "cooling",
            p if p >= 0.1 => "at_risk",
            _ => "lost",
        };
        assert_eq!(tier, should, "{person}");
    }
}

#[test]
fn cdnow_embedded() {
    check("cdnow_embedded", &Installation::embedded().with_config_text(SITE));
}

#[test]
fn cdnow_kafka_clickhouse() {
    let test = "cdnow_kafka_clickhouse";
    if data(test, "").is_none() {
        return;
    }
    if let Some(installation) = Installation::on_servers(test)
        && let Some(answer) = check(test, &installation.with_config_text(SITE))
    {
        // The same customers, the same figures, to the last digit.
        let embedded = Installation::embedded().with_config_text(SITE);
        assert_eq!(check(test, &embedded), Some(answer));
    }
}
