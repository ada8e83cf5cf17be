//! The outside witness: Python's Kafka client with its Avro deserializer, reading committed records.

use std::process::Command;

use serde_json::Value;

use crate::binary::{Installation, checkout};
use crate::service::Service;

/// Reads every output topic and says what `tests/python/committed_reader.py` says: per topic and record type, counts and sums. The
/// schemas come from a `millstream collect` started for it. An error, with why, where there is no such Python.
///
/// # Errors
/// Where the machine has no Python with that client.
///
/// # Panics
/// Where a record could not be decoded or the topics not be read.
pub fn committed_records(installation: &Installation, brokers: &str, topics: &[&str]) -> Result<Value, String> {
    let python = python()?;
    let schemas = Service::start(installation, &["collect"]);
    let output = Command::new(python)
        .arg(checkout().join("tests/python/committed_reader.py"))
        .args(["--brokers", brokers, "--registry", &schemas.url])
        .args(topics.iter().map(|topic| installation.topic(topic)))
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the outside reader failed:\n{complaint}");
    Ok(serde_json::from_slice(&output.stdout).unwrap())
}

/// A check of a witness.
#[derive(Debug, Clone)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// Whether it is as it should be.
    pub good: bool,
    /// What was found.
    pub says: String,
}

/// What became of each event that a client had acknowledged, as `tests/python/acknowledged.py` sees it. `ids` names a file with an
/// acknowledged id a line.
///
/// # Errors
/// Where the machine has no Python with that client, or the topics could not be read.
pub fn fates(installation: &Installation, brokers: &str, ids: &std::path::Path) -> Result<Vec<Check>, String> {
    let python = python()?;
    let schemas = Service::start(installation, &["collect"]);
    let output = Command::new(python)
        .arg(checkout().join("tests/python/acknowledged.py"))
        .args(["--brokers", brokers, "--registry", &schemas.url, "--acknowledged"])
        .arg(ids)
        .output()
        .map_err(|error| error.to_string())?;
    let said: Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| format!("the outside reader failed:\n{}", String::from_utf8_lossy(&output.stderr)))?;
    let checks = said["checks"].as_array().into_iter().flatten();
    Ok(checks
        .map(|check| Check {
            name: check["name"].as_str().unwrap_or_default().to_owned(),
            good: check["good"] == true,
            says: check["says"].as_str().unwrap_or_default().to_owned(),
        })
        .collect())
}

/// The Python of the tests.
fn python() -> Result<String, String> {
    let made = Command::new(checkout().join("scripts/python-env")).output().map_err(|error| error.to_string())?;
    if !made.status.success() {
        return Err(String::from_utf8_lossy(&made.stderr).trim().to_owned());
    }
    Ok(String::from_utf8_lossy(&made.stdout).trim().to_owned())
}
