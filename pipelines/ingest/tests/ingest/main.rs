//! The ingest stage from outside: records in, records out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod bad_input;
mod closed;
mod consent;
mod data;
mod harness;
mod identity;
mod offline_touches;
mod orders;
mod promises;
mod restore;
mod settings;
mod snapshots;
mod time;
