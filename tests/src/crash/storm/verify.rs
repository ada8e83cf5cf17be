//! What the program says of itself, before and after its tables are damaged by hand.

use serde_json::Value;

use super::recorded::Recorded;
use super::{Check, DATABASE, Report, compare};
use crate::binary::Installation;

/// A row that is taken away, and one that is doubled.
const DELETED: &str = "orders";
const DOUBLED: &str = "sessions";

/// Asks `millstream verify`; with `damaged`, the warehouse's address, once more after a row was deleted and one doubled. Our own
/// comparison must see both, too.
pub fn check(installation: &Installation, damaged: Option<&String>, recorded: &Recorded, report: &mut Report) {
    match verify(installation) {
        None => report.add(Check {
            name: "verify says equal".to_owned(),
            good: None,
            says: "this millstream has no command verify".to_owned(),
        }),
        Some((code, said)) => {
            let wrong = if code == Some(0) { Vec::new() } else { vec![format!("exit code {code:?}: {said}")] };
            report.add(Check::new("verify says equal", &wrong, last_line(&said)));
        }
    }
    let Some(url) = damaged else { return };
    let damage = [
        (
            DELETED,
            format!(
                "DELETE FROM {DELETED} WHERE (log_partition, log_offset) IN (SELECT log_partition, log_offset FROM {DELETED} LIMIT 1)"
            ),
        ),
        (DOUBLED, format!("INSERT INTO {DOUBLED} SELECT * FROM {DOUBLED} LIMIT 1")),
    ];
    for (_, sql) in &damage {
        let settings = "mutations_sync=2&lightweight_deletes_sync=2";
        let done = ureq::post(format!("{url}/?database={DATABASE}&{settings}"))
            .config()
            .http_status_as_error(false)
            .build()
            .send(sql)
            .unwrap();
        assert!(done.status().is_success(), "{sql}: {:?}", done.into_body().read_to_string());
    }
    let histories = compare::histories(url, DATABASE, recorded);
    // These two and no other, unless something was wrong before.
    let was_good = report.checks.iter().any(|check| check.name == compare::HISTORIES && check.good == Some(true));
    let only = !was_good || histories.says.contains("; 2 differences");
    let seen = only && histories.says.contains(DELETED) && histories.says.contains(DOUBLED);
    let good = histories.good == Some(false) && seen;
    report.add(Check {
        name: "a deleted and a doubled row are seen".to_owned(),
        good: Some(good),
        says: histories.says,
    });
    if verify(installation).is_none() {
        return;
    }
    let output = installation.command().args(["verify", "--json"]).output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let found: Vec<(&str, &str)> = found["differences"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| Some((one["kind"].as_str()?, one["place"]["table"].as_str()?)))
        .collect();
    let mut named = found.clone();
    named.sort_unstable();
    let good = output.status.code() == Some(1) && named == [("doubled", DOUBLED), ("missing", DELETED)];
    report.add(Check {
        name: "verify sees them too, and nothing else".to_owned(),
        good: Some(good),
        says: format!("exit code {:?}: {found:?}", output.status.code()),
    });
}

/// Exit code and words; `None` where there is no such command.
fn verify(installation: &Installation) -> Option<(Option<i32>, String)> {
    let known = installation.command().args(["verify", "--help"]).output().unwrap();
    if !known.status.success() {
        return None;
    }
    let output = installation.command().arg("verify").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some((output.status.code(), format!("{}{}", text(&output.stdout), text(&output.stderr))))
}

fn last_line(said: &str) -> String {
    said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned()
}
