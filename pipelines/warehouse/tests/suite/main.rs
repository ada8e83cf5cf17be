//! The embedded warehouse: the scenarios that every warehouse must pass, and what is its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod compaction;
mod scenarios;
#[path = "../../../deliver/tests/support/mod.rs"]
mod support;
mod warehouse;

use millstream_warehouse::{ParquetSink, Warehouse};

use crate::support::Engine;

/// A warehouse in a folder of its own, removed at the end.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn warehouse(&self) -> Warehouse {
        Warehouse::new(self.0.path())
    }

    /// Names of a table's files, sorted.
    fn files(&self, table: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.0.path().join(table)) else { return Vec::new() };
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Engine for Folder {
    type Sink = ParquetSink;

    fn sink(&self) -> ParquetSink {
        ParquetSink::new(self.0.path())
    }

    fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.warehouse().rows(sql).unwrap()
    }
}
