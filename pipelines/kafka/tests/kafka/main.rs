//! The transport against a real broker. `KAFKA_BROKERS` names it (and `KAFKA_TLS_*`, `KAFKA_MTLS_*` the encrypted listeners); where a
//! variable is absent the tests that need it skip by name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod appending;
mod checks;
mod conformance;
mod crash;
mod fencing;
mod groups;
mod proxy;
mod readers;
mod security;
mod support;
mod topics;
mod transactions;
