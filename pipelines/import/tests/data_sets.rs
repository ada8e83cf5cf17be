//! The example mappings on the real data sets. `MILLSTREAM_DATA` names the folder that has them; where it is not set, the tests are
//! skipped by name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;

use millstream_import::{ImportOptions, Mapping, Prepared, prepare};
use serde_json::Value;

/// The folder of the data sets, or a recorded skip.
fn data(test: &str) -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("MILLSTREAM_DATA").filter(|folder| !folder.is_empty()) {
        return Some(folder.into());
    }
    let note = format!("{test}: MILLSTREAM_DATA is not set");
    println!("SKIPPED {note}");
    if let Some(log) = std::env::var_os("MILLSTREAM_SKIP_LOG") {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        writeln!(file, "{note}").unwrap();
    }
    None
}

fn prepared(mapping: &str, file: PathBuf) -> Prepared {
    let mappings = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/mappings");
    let mapping = Mapping::load(&mappings.join(mapping)).unwrap();
    prepare(&mapping, &[file], None, &ImportOptions::default(), &mut |_| {}).unwrap()
}

/// All events, each of which the catalogue's own parser accepts.
fn events(prepared: &Prepared) -> Vec<Value> {
    prepared
        .events
        .iter()
        .map(|event| {
            let parsed = millstream_schemas::input::parse_event(&event.payload);
            assert!(parsed.is_ok(), "{:?}: {}", parsed, String::from_utf8_lossy(&event.payload));
            serde_json::from_slice(&event.payload).unwrap()
        })
        .collect()
}

/// Minor units of a JSON amount with at most two digits after the point.
fn minor(amount: &Value) -> i64 {
    millstream_schemas::Decimal::parse_exact(&amount.to_string()).unwrap().to_minor(2).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

#[test]
fn rees46() {
    let Some(data) = data("import::rees46") else { return };
    let prepared = prepared("rees46.toml", data.join("rees46_sample/2019-Oct_first17434.csv.gz"));
    let events = events(&prepared);
    assert_eq!((prepared.rows, events.len(), prepared.rejected.len(), prepared.skipped), (17_434, 17_434, 0, 0));
    let of_type = |name: &str| events.iter().filter(|event| text(&event["type"]) == name).count();
    assert_eq!((of_type("product_view"), of_type("add_to_cart"), of_type("purchase")), (17_055, 165, 214));
    let orders: Vec<&Value> = events.iter().map(|event| &event["order"]).filter(|order| order.is_object()).collect();
    assert_eq!(orders.iter().map(|order| text(&order["id"])).collect::<BTreeSet<_>>().len(), 214);
    assert_eq!(orders.iter().map(|order| minor(&order["amount"])).sum::<i64>(), 5_944_263);
    assert_eq!(events.iter().map(|event| text(&event["id"])).collect::<BTreeSet<_>>().len(), 17_434);
    assert_eq!(events.iter().map(|event| text(&event["session"])).collect::<BTreeSet<_>>().len(), 5_066);
    assert_eq!(sessions(&prepared, &events, 30 * 60_000), 4_518);
}

/// Sessions by a gap per user.
fn sessions(prepared: &Prepared, events: &[Value], gap_ms: i64) -> usize {
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    let mut count = 0;
    for (event, imported) in events.iter().zip(&prepared.events) {
        let before = last.insert(text(&event["user"]), imported.time_ms);
        count += usize::from(before.is_none_or(|before| imported.time_ms - before > gap_ms));
    }
    count
}

#[test]
fn online_retail() {
    let Some(data) = data("import::online_retail") else { return };
    let prepared = prepared("online_retail.toml", data.join("online_retail/online_retail.csv.gz"));
    assert_eq!(prepared.rows, 541_909);

    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &prepared.rejected {
        assert_eq!(row.reason, "mapping_rule");
        *reasons.entry(&row.detail).or_default() += 1;
    }
    let wanted = [("negative quantity outside a credit note", 1_336), ("non-positive price without a customer", 1_141)];
    assert_eq!(reasons, BTreeMap::from(wanted));

    let events = events(&prepared);
    let mut purchases = Tally::default();
    let mut anonymous = Tally::default();
    let mut refunds = Tally::default();
    let mut anonymous_refunds = Tally::default();
    for event in &events {
        let known = event.get("user").is_some();
        match (text(&event["type"]), known) {
            ("purchase", true) => purchases.add(&event["order"], text(&event["user"])),
            ("purchase", false) => anonymous.add(&event["order"], ""),
            (_, true) => refunds.add(&event["refund"], text(&event["user"])),
            (_, false) => anonymous_refunds.add(&event["refund"], ""),
        }
    }
    // 397,884 clean lines and 40 at zero; 18,532 orders and 4 of nothing else; 4,338 customers and 1 with nothing else.
    assert_eq!((purchases.lines, purchases.zero_lines), (397_924, 40));
    assert_eq!((purchases.events, purchases.zero_events), (18_536, 4));
    assert_eq!((purchases.users.len(), purchases.paying_users.len()), (4_339, 4_338));
    assert_eq!(purchases.amount_minor, 891_140_790);
    assert_eq!((anonymous.lines, anonymous.events, anonymous.amount_minor), (132_220, 1_428, 175_527_664));
    assert_eq!((refunds.lines, refunds.amount_minor), (8_905, 61_134_209));
    assert_eq!(purchases.amount_minor - refunds.amount_minor, 830_006_581);
    assert_eq!((anonymous_refunds.lines, anonymous_refunds.events), (383, 182));
    assert_eq!(events.len(), 18_536 + 1_428 + refunds.events + 182);
}

#[derive(Default)]
struct Tally {
    events: usize,
    zero_events: usize,
    lines: usize,
    zero_lines: usize,
    amount_minor: i64,
    users: BTreeSet<String>,
    paying_users: BTreeSet<String>,
}

impl Tally {
    fn add(&mut self, order: &Value, user: &str) {
        let amount_minor = minor(&order["amount"]);
        let lines: Vec<i64> = order["lines"].as_array().unwrap().iter().map(|line| minor(&line["amount"])).collect();
        assert_eq!(lines.iter().sum::<i64>(), amount_minor, "the lines of {} do not add up", order["id"]);
        self.events += 1;
        self.zero_events += usize::from(amount_minor == 0);
        self.lines += lines.len();
        let prices = order["lines"].as_array().unwrap().iter().map(|line| &line["price"]);
        self.zero_lines += prices.filter(|price| price.as_f64() == Some(0.0)).count();
        self.amount_minor += amount_minor;
        self.users.insert(user.to_owned());
        if amount_minor > 0 {
            self.paying_users.insert(user.to_owned());
        }
    }
}

#[test]
fn snowplow_web() {
    let Some(data) = data("import::snowplow_web") else { return };
    let folder = data.join("snowplow_web_fixtures/integration_tests/data");
    let prepared = prepared("snowplow_web.toml", folder.join("source/snowplow_web_events.csv"));
    let events = events(&prepared);
    // Three event ids come twice.
    assert_eq!((prepared.rows, events.len(), prepared.rejected.len(), prepared.duplicates), (160, 157, 0, 3));
    let of_type = |name: &str| events.iter().filter(|event| text(&event["type"]) == name).count();
    assert_eq!((of_type("page_view"), of_type("page_ping"), of_type("click"), of_type("custom")), (49, 8, 10, 90));
    assert_eq!(events.iter().map(|event| text(&event["id"])).collect::<BTreeSet<_>>().len(), 157);

    // Every session of the reference is there by its tracker id, and every page view by its own.
    let expected = |file: &str, column: &str| -> BTreeSet<String> {
        let mut reader = csv::Reader::from_path(folder.join("expected").join(file)).unwrap();
        let at = reader.headers().unwrap().iter().position(|name| name == column).unwrap();
        reader.records().map(|row| row.unwrap()[at].to_owned()).collect()
    };
    let ours = |of: fn(&Value) -> &Value| -> BTreeSet<String> {
        events.iter().map(|event| text(of(event)).to_owned()).collect()
    };
    let sessions = ours(|event| &event["session"]);
    let wanted = expected("default/snowplow_web_sessions_expected.csv", "domain_sessionid");
    assert_eq!((wanted.len(), wanted.difference(&sessions).count()), (18, 0));
    // 26 with consent events only, one that came late, one without page view ids, and events without a session id.
    assert_eq!(sessions.difference(&wanted).count(), 26 + 2 + 1);
    let views = ours(|event| &event["page"]["view_id"]);
    let wanted = expected("snowplow_web_page_views_expected.csv", "page_view_id");
    assert_eq!((wanted.len(), wanted.difference(&views).count()), (43, 0));
    let devices = ours(|event| &event["device"]);
    let wanted = expected("snowplow_web_users_expected.csv", "domain_userid");
    assert_eq!((wanted.len(), wanted.difference(&devices).count()), (11, 0));
}
