//! What is on the topics, as an outsider reads it: Python's Kafka client with its Avro deserializer, committed records only, decoded
//! through a real schema registry, or through the binary itself where none is configured.

use std::process::Command;

use millstream_schemas::topics::TOPICS;
use millstream_tests::binary::{Installation, checkout};
use millstream_tests::service::Service;
use millstream_tests::skip::{need, skip};
use serde_json::Value;

use crate::{data, mapping};

/// A Python with the tests' packages, where there can be one.
pub fn python(test: &str) -> Option<String> {
    let output = Command::new(checkout().join("scripts/python-env")).output().unwrap();
    let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && !path.is_empty() {
        return Some(path);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    skip(test, &format!("no Python with Kafka's client: {}", said.lines().last().unwrap_or_default()));
    None
}

/// Reads all topics, internal ones too, through the registry at `url`.
fn read(python: &str, installation: &Installation, url: &str) -> Value {
    let output = Command::new(python)
        .arg(checkout().join("tests/python/committed_reader.py"))
        .args(["--registry", url])
        .args(TOPICS.iter().map(|topic| installation.topic(topic.name)))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What the witness says of each topic, against the figures.
fn check(installation: &Installation, witness: &Value) {
    let topic = |name: &str| &witness["topics"][installation.topic(name)];
    for (name, compacted) in TOPICS.iter().map(|topic| (topic.name, topic.compacted)) {
        let seen = topic(name);
        assert_eq!(seen["undecodable"], 0, "{name}: {seen}");
        // Where each key has one latest record, a tombstone ends it.
        assert!(compacted || seen["tombstones"] == 0, "{name}: {seen}");
        for (kind, rows) in seen["types"].as_object().unwrap() {
            for wrong in ["repeats", "conflicts"] {
                assert!(rows.get(wrong).is_none_or(|count| *count == 0), "{name} {kind}: {rows}");
            }
        }
    }
    let current = |name: &str, kind: &str| topic(name)["types"][kind]["current"].as_u64();
    assert_eq!(topic("events.collected")["types"]["collected"]["records"], 17_434);
    assert_eq!(current("events", "event"), Some(17_434));
    assert_eq!(current("sessions", "session"), Some(4_518));
    assert_eq!(current("orders", "order"), Some(214));
    assert_eq!(topic("orders")["types"]["order"]["sums"]["amount_minor"], 5_944_263);
    assert_eq!(topic("events.rejected")["messages"], 0);
    assert!(topic("control")["messages"].as_u64() > Some(0));
}

fn import(test: &str, installation: &Installation) -> bool {
    let Some(file) = data(test, "rees46_sample/2019-Oct_first17434.csv.gz") else { return false };
    installation.import(&mapping("rees46.toml"), &[file]);
    true
}

#[test]
fn an_outsider_decodes_through_the_registry() {
    let test = "an_outsider_decodes_through_the_registry";
    let (Some(url), Some(mut installation)) = (need(test, "SCHEMA_REGISTRY_URL"), Installation::on_servers(test))
    else {
        return;
    };
    let Some(python) = python(test) else { return };
    installation.set("REGISTRY__URL", &url);
    if import(test, &installation) {
        check(&installation, &read(&python, &installation, &url));
        // Registering again finds the same schemas.
        let output = installation.command().arg("check").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains("schema registry: fine"), "{said}");
    }
}

#[test]
fn without_a_registry_the_binary_serves_its_schemas() {
    let test = "without_a_registry_the_binary_serves_its_schemas";
    let Some(installation) = Installation::on_servers(test) else { return };
    let Some(python) = python(test) else { return };
    if import(test, &installation) {
        let collector = Service::start(&installation, &["collect"]);
        check(&installation, &read(&python, &installation, &collector.url));
        collector.stop();
    }
}
