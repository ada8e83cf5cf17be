//! `millstream replay` after an import: tasks bit for bit, from a snapshot and from the beginning, and the whole namespace anew.

use millstream_tests::binary::Installation;

use crate::{data, mapping};

/// Runs `millstream replay …`, which must succeed, and returns what it said.
fn replay(installation: &Installation, arguments: &[&str]) -> String {
    let output = installation.command().arg("replay").args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "replay {arguments:?} failed:\n{said}");
    said
}

/// The number before ` records,` of the line that speaks of a task.
fn records(said: &str, task: &str) -> u64 {
    let line = said.lines().find(|line| line.starts_with(&format!("{task}:"))).unwrap_or_else(|| panic!("{said}"));
    let before = line.split(" records,").next().unwrap_or_default();
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}

fn check(test: &str, installation: &Installation) {
    let Some(file) = data(test, "rees46_sample/2019-Oct_first17434.csv.gz") else { return };
    installation.import(&mapping("rees46.toml"), &[file]);

    let said = replay(installation, &["tasks", "--beginning"]);
    let all: u64 = (0..4).map(|partition| records(&said, &format!("ingest[{partition}]"))).sum();
    assert!(all >= 17_434, "{all} records were replayed:\n{said}");
    assert!(!said.contains("DIFFER"), "{said}");

    // The import ended in order: its last snapshots are at the end, older ones may be before it.
    let said = replay(installation, &["tasks", "--stage", "profile"]);
    assert!(said.contains("from snapshot"), "{said}");
    assert!(!said.contains("ingest["), "{said}");

    let said = replay(installation, &["rebuild", "--into", "rebuilt."]);
    assert!(said.contains("both namespaces end in the same current views"), "{said}");
    let sessions = said.lines().find(|line| line.starts_with("sessions ")).unwrap_or_default();
    assert!(sessions.contains("4518 current rows: equal"), "{said}");

    let said = replay(installation, &["rebuild", "--into", "rebuilt."]);
    assert!(said.contains("both namespaces end in the same current views"), "called again, it goes on: {said}");

    for _ in 0..2 {
        let said = replay(installation, &["rebuild", "--into", "restored.", "--from-warehouse"]);
        assert!(said.contains("17434 accepted events processed anew"), "{said}");
    }
    let said = replay(installation, &["compare", "--with", "restored."]);
    assert!(said.contains("both namespaces end in the same current views"), "{said}");
}

#[test]
fn replay_embedded() {
    check("replay_embedded", &Installation::embedded());
}

#[test]
fn replay_kafka_clickhouse() {
    let test = "replay_kafka_clickhouse";
    if data(test, "").is_some()
        && let Some(installation) = Installation::on_servers(test)
    {
        check(test, &installation);
    }
}
