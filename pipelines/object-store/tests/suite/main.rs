//! Snapshots on a real store with the S3 API, named by `S3_ENDPOINT`, `S3_BUCKET`, `S3_REGION`, `S3_ACCESS_KEY_ID` and
//! `S3_SECRET_ACCESS_KEY`; without it those tests are skipped by name. What a store answers when it is unwell is played by a
//! listener of our own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod faults;
mod objects;
mod publishing;
mod support;
mod tally;
mod workers;
