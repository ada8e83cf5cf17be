//! Delivery into ClickHouse, and what needs no warehouse.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod clickhouse;
mod limits;
mod notes;
mod outages;
mod proxy;
mod remade;
#[path = "../support/mod.rs"]
mod support;
mod tls;
mod waiting;
