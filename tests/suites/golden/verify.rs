//! `millstream verify` and `millstream dlq`: everything agrees after a run, and what is done by hand to tables is named.

use std::path::{Path, PathBuf};

use millstream_tests::binary::Installation;
use millstream_tests::service::{Service, now_ms};
use serde_json::{Value, json};

/// The report, and the exit code.
fn verify(installation: &Installation) -> (Value, i32) {
    let output = installation.command().args(["verify", "--json"]).output().unwrap();
    let code = output.status.code().unwrap();
    let report = serde_json::from_slice(&output.stdout);
    (report.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))), code)
}

/// Views, an order that comes twice and an event that is none, delivered.
fn run(installation: &Installation) {
    let service = Service::start(installation, &["run"]);
    let now = now_ms();
    let order = json!({ "id": "b", "type": "purchase", "device": "d1", "user": "u1", "time": now,
        "order": { "id": "o1", "currency": "EUR", "amount": "12.00", "lines": [{ "product_id": "p", "quantity": 2, "price": "6.00" }] } });
    let mut events: Vec<Value> = (0..40)
        .map(|n| json!({ "id": format!("v{n}"), "type": "page_view", "device": format!("d{}", n % 7), "time": now - n * 1_000,
            "page": { "url": "https://shop.example/" } }))
        .collect();
    events.extend([order.clone(), order, json!({ "id": "bad", "type": "nonsense", "device": "d1" })]);
    service.send(&Value::Array(events));
    service.wait_for(installation, "select count(*) from events", "41");
    service.wait_for(installation, "select count(*) from events_rejected", "1");
    service.wait_for(installation, "select count(*) from orders", "1");
    service.stop();
}

/// The sum of a fate over ingest's tasks.
fn fate(report: &Value, name: &str) -> u64 {
    let tasks = report["tasks"].as_array().unwrap().iter().filter(|task| task["stage"] == "ingest");
    tasks.filter_map(|task| task["fates"][name].as_u64()).sum()
}

fn agrees(installation: &Installation) {
    let (report, code) = verify(installation);
    assert_eq!((code, &report["differences_in_all"]), (0, &json!(0)), "{report:#}");
    assert_eq!([fate(&report, "accepted"), fate(&report, "duplicate"), fate(&report, "rejected")], [41, 1, 1]);
    for table in report["tables"].as_array().unwrap() {
        // What came last may be without rows (announcements of time) and not yet passed by delivery when it was stopped: that is lag.
        assert_eq!(table["stand"]["result"], "equal", "{table}");
    }
}

/// Kind, table and key of each difference.
fn differences(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = report["differences"].as_array().unwrap().iter();
    all.map(|found| (text(&found["kind"]), text(&found["place"]["table"]))).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn embedded() {
    let installation = Installation::embedded();
    run(&installation);
    agrees(&installation);

    let warehouse = installation.folder().join("warehouse");
    // Files are what can be meddled with by hand: one goes, one is there again under the name of another range.
    let lost = files(&warehouse.join("orders")).remove(0);
    std::fs::remove_file(&lost).unwrap();
    let doubled = files(&warehouse.join("identities")).remove(0);
    let name = doubled.file_name().unwrap().to_str().unwrap().to_owned();
    let partition = name.split('-').next().unwrap();
    std::fs::copy(&doubled, doubled.with_file_name(format!("{partition}-9000000-9000099.parquet"))).unwrap();
    // A query finds it, although no partition has it.
    let stray = files(&warehouse.join("sessions")).remove(0);
    std::fs::copy(&stray, stray.with_file_name("9-0-9.parquet")).unwrap();
    let (report, code) = verify(&installation);
    assert_eq!(code, 1);
    let found = differences(&report);
    assert!(found.contains(&("missing".to_owned(), "orders".to_owned())), "{report:#}");
    assert!(found.contains(&("doubled".to_owned(), "identities".to_owned())), "{report:#}");
    assert!(found.contains(&("extra".to_owned(), "sessions".to_owned())), "{report:#}");
    assert!(
        found.iter().all(|(_, table)| ["orders", "identities", "sessions"].contains(&table.as_str())),
        "{report:#}"
    );
}

#[test]
fn on_servers() {
    let test = "golden::verify::on_servers";
    let Some(installation) = Installation::on_servers(test) else { return };
    run(&installation);
    agrees(&installation);
    for statement in [
        "ALTER TABLE orders DELETE WHERE 1 SETTINGS mutations_sync = 2",
        "INSERT INTO identities SELECT * FROM identities ORDER BY log_partition, log_offset LIMIT 1 SETTINGS insert_deduplicate = 0",
        "INSERT INTO sessions SELECT * REPLACE(9 AS log_partition) FROM sessions LIMIT 1",
        "ALTER TABLE events UPDATE page_url = 'https://elsewhere.example/' WHERE event_id = 'v7' SETTINGS mutations_sync = 2",
    ] {
        installation.query(statement);
    }
    let (report, code) = verify(&installation);
    assert_eq!(code, 1);
    let expected = [("changed", "events"), ("doubled", "identities"), ("extra", "sessions"), ("missing", "orders")];
    let mut found = differences(&report);
    found.sort();
    assert_eq!(found, expected.map(|(kind, table)| (kind.to_owned(), table.to_owned())), "{report:#}");
    let changed = report["differences"].as_array().unwrap().iter().find(|found| found["kind"] == "changed").unwrap();
    assert!(changed["place"]["key"].as_str().unwrap().contains("v7"), "{changed}");
    assert!(changed["what"].as_str().unwrap().contains("page_url"), "{changed}");
}

#[test]
fn what_cannot_be_checked_says_so() {
    let mut installation = Installation::embedded();
    installation.set("WAREHOUSE", "clickhouse");
    installation.set("CLICKHOUSE__URL", "http://127.0.0.1:1");
    let output = installation.command().arg("verify").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn dead_letters_are_listed_shown_and_replayed_once() {
    let installation = Installation::embedded();
    run(&installation);
    let dlq = |arguments: &[&str]| {
        let output = installation.command().arg("dlq").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let listing: Value = serde_json::from_str(&dlq(&["list", "--json"])).unwrap();
    assert_eq!(listing["counts"][0]["reason"], "unknown_event_type");
    let id = listing["newest"][0]["id"].as_str().unwrap().to_owned();
    let shown = dlq(&["show", &id]);
    assert!(shown.contains("unknown_event_type") && shown.contains("nonsense"), "{shown}");
    assert!(dlq(&["show", &id, "--bytes"]).starts_with('{'));
    // Nothing was mended, so it would be refused again.
    let said = dlq(&["replay", "--id", &id, "--dry-run"]);
    assert!(said.contains("still not well-formed") && said.contains("0 events would be appended"), "{said}");
    let refused = installation.command().args(["dlq", "replay"]).output().unwrap();
    assert!(!refused.status.success(), "a replay of everything must be asked for by name");
}
