//! Kafka and ClickHouse, with the process between them killed; and a reader from outside that agrees.

use std::fmt::Write as _;

use millstream_tests::binary::Installation;
use millstream_tests::crash::outside::committed_records;
use millstream_tests::crash::running::Running;
use millstream_tests::crash::seeded::Seeded;
use millstream_tests::crash::tables::{Bytes, assert_nothing_twice, assert_same, current_views, tables};
use millstream_tests::skip::{need, skip};
use serde_json::Value;

use crate::{data_file, figures, import_of, my_turn, undisturbed};

const MAPPING: &str = "online_retail.toml";

/// Rows of a table, as far as they have been delivered.
fn rows(installation: &Installation, table: &str) -> u64 {
    let answer = installation.try_query(&format!("select count(*) as n from {table}"));
    answer.ok().and_then(|rows| rows.first()?.parse().ok()).unwrap_or(0)
}

#[test]
fn an_import_on_servers_killed_at_five_points_ends_the_same_and_outsiders_agree() {
    let test = "crash::an_import_on_servers_killed_at_five_points_ends_the_same_and_outsiders_agree";
    let Some(root) = need(test, "MILLSTREAM_DATA") else { return };
    let Some(brokers) = need(test, "KAFKA_BROKERS") else { return };
    let Some(installation) = Installation::on_servers(test) else { return };
    let _turn = my_turn();
    let file = data_file("online_retail", &root);
    let expected = undisturbed::views(MAPPING, &file);
    let arguments = import_of(MAPPING, &file);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let start = || Running::start(&installation, &arguments);
    let mut points = Seeded(0x1405_7B7E);

    // While it writes the log: it says so after the first of about a dozen transactions.
    let mut import = start();
    import.until("the import", |import| import.has_said("importing"));
    let said = import.kill();
    assert!(!said.contains("all in the log"), "it was to be killed before:\n{said}");

    // While operators run on what the resumed import adds.
    let events = points.between(1_000, 8_000);
    let mut import = start();
    import.until("the rest of the import", |import| import.has_said("went on after event"));
    import.until("so many events in the warehouse", |_| rows(&installation, "events") >= events);
    let said = import.kill();
    assert!(!said.contains("profile: caught up"), "it was to be killed before:\n{said}");

    // While it recovers.
    let mut import = start();
    import.until("the look at the log", |import| import.has_said("imported before"));
    let said = import.kill();
    assert!(!said.contains("profile: caught up"), "it was to be killed before:\n{said}");

    // While it delivers, twice: early and late.
    for (from, to) in [(1, 100_000), (200_000, 400_000)] {
        let lines = points.between(from, to);
        let mut import = start();
        import.until("so many order lines in the warehouse", |_| rows(&installation, "order_lines") >= lines);
        let said = import.kill();
        assert!(!said.contains("rows written"), "it was to be killed before:\n{said}");
    }

    start().finish();
    let said = start().finish();
    assert!(said.contains("warehouse: 0 rows written"), "a start with nothing to do wrote something:\n{said}");

    figures::assert_online_retail(&installation);
    assert_nothing_twice(&installation, test);
    assert_same(&expected, &current_views(&installation, Bytes::Plain), test);

    let topics: Vec<&str> = {
        let mut topics: Vec<&str> = tables().map(|(_, schema)| schema.topic).collect();
        topics.sort_unstable();
        topics.dedup();
        topics
    };
    match committed_records(&installation, &brokers, &topics) {
        Ok(witness) => assert_agrees(&installation, &witness),
        Err(why) => skip(&format!("{test} (outside reader)"), &why),
    }
}

/// What was read from outside is what the tables hold: each record once, the same keys, the same sums.
fn assert_agrees(installation: &Installation, witness: &Value) {
    let mut wrong = String::new();
    for (table, schema) in tables() {
        let topic = &witness["topics"][installation.topic(schema.topic)];
        let read = &topic["types"][schema.name];
        let mut compare = |what: &str, got: &Value, expected: u64| {
            if got.as_u64() != Some(expected) {
                writeln!(wrong, "{table}: {what} is {got} outside, {expected} expected").unwrap();
            }
        };
        compare("undecodable", &topic["undecodable"], 0);
        compare("repeats", &read["repeats"], 0);
        compare("conflicts", &read["conflicts"], 0);
        compare("records", &read["records"], rows(installation, table));
        compare("current", &read["current"], rows(installation, &format!("{table}_current")));
        let amounts = read["sums"].as_object().into_iter().flatten();
        for (field, sum) in amounts {
            let sql = format!("select sum({field}) as s from {table}_current");
            compare(field, sum, installation.query(&sql)[0].parse().unwrap());
        }
    }
    assert!(wrong.is_empty(), "{wrong}\n{witness:#}");
    // The figures once more, from outside alone.
    let sum = |topic: &str, record: &str, field: &str| {
        witness["topics"][installation.topic(topic)]["types"][record]["sums"][field].as_i64()
    };
    assert_eq!(sum("order.lines", "order_line", "amount_minor"), Some(891_140_790 + 175_527_664));
    assert_eq!(sum("orders", "order", "amount_minor"), Some(891_140_790 + 175_527_664));
    assert_eq!(sum("sessions", "session", "revenue_minor"), Some(891_140_790));
}
