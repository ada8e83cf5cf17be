//! Verification of a log in memory, with real stages: equal where nobody meddled, and named where somebody did.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs)]

mod clickhouse;
mod ledgers;
mod tables;
mod tampered;
mod topics;
mod world;
