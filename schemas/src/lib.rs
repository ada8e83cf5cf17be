//! Contracts: one definition a record, from which Rust types, Avro, ClickHouse DDL and the reference pages are generated.
