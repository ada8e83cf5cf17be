//! The binary against figures that are known from elsewhere, embedded and on Kafka with ClickHouse, with the same SQL.
//!
//! Every test runs `millstream` as a user does, in an installation of its own. Public data is found through `MILLSTREAM_DATA`,
//! servers through `KAFKA_BROKERS`, `CLICKHOUSE_URL` and `SCHEMA_REGISTRY_URL`; what is not there is skipped by name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod attribution;
mod bad_input;
mod bad_records;
mod cdnow;
mod check;
mod consent;
mod hand_over;
mod online_retail;
mod rees46;
mod registry;
mod replay;
mod snowplow;
mod snowplow_differences;
mod subscribers;
mod verify;
mod views;

use std::path::PathBuf;

use millstream_tests::binary::checkout;
use millstream_tests::skip::need;

/// A query and its answer: what was rejected is told whole where there should be none.
const NOTHING_REJECTED: (&str, &str) = (
    "select stage, topic, reason, field, detail, count(*) from events_rejected group by stage, topic, reason, field, detail",
    "",
);

/// A file or folder of the public data sets; without them `test` is skipped.
fn data(test: &str, path: &str) -> Option<PathBuf> {
    need(test, "MILLSTREAM_DATA").map(|folder| PathBuf::from(folder).join(path))
}

/// A mapping that the project ships.
fn mapping(name: &str) -> PathBuf {
    checkout().join("examples/mappings").join(name)
}
