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
    let made = Command::new(checkout().join("scripts/python-env")).output().map_err(|error| error.to_string())?;
    if !made.status.success() {
        return Err(String::from_utf8_lossy(&made.stderr).trim().to_owned());
    }
    let python = String::from_utf8_lossy(&made.stdout).trim().to_owned();
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
