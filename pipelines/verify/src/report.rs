//! What was compared and what differs.

use std::collections::BTreeMap;

use serde::Serialize;

/// Differences that are kept; the rest is only counted.
const KEPT: usize = 1_000;

/// The result.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// One line a task.
    pub tasks: Vec<TaskLine>,
    /// One line a partition of an output topic.
    pub topics: Vec<TopicLine>,
    /// One line a table.
    pub tables: Vec<TableLine>,
    /// What differs, the first of it.
    pub differences: Vec<Difference>,
    /// How many differences there are.
    pub differences_in_all: u64,
}

/// One task's ledger against its input.
#[derive(Debug, Clone, Serialize)]
pub struct TaskLine {
    /// The stage.
    pub stage: String,
    /// What it reads, without the namespace's prefix.
    pub topic: String,
    /// Partition.
    pub partition: u32,
    /// Transactions in the ledger.
    pub transactions: u64,
    /// Records that they read.
    pub records: u64,
    /// What became of them.
    pub fates: BTreeMap<String, u64>,
    /// Up to where they go.
    pub next: u64,
    /// How it compares.
    pub stand: Stand,
}

/// One partition of an output topic against all ledgers.
#[derive(Debug, Clone, Serialize)]
pub struct TopicLine {
    /// Topic, without the namespace's prefix.
    pub topic: String,
    /// Partition.
    pub partition: u32,
    /// Records that the ledgers say were written.
    pub noted: u64,
    /// Records found, of those that ledgers speak of.
    pub found: u64,
    /// Records of others (control, imports, delivery), which no ledger speaks of.
    pub others: u64,
    /// How it compares.
    pub stand: Stand,
}

/// One table against its topic.
#[derive(Debug, Clone, Serialize)]
pub struct TableLine {
    /// Table.
    pub table: String,
    /// Topic, without the namespace's prefix.
    pub topic: String,
    /// Delivered records that have a row.
    pub rows: u64,
    /// Delivered records without one: consent refused, or unreadable (their dead letters have a row).
    pub without_row: u64,
    /// Records that are not delivered yet.
    pub lag: u64,
    /// How it compares.
    pub stand: Stand,
}

/// How one line compares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "result", content = "why")]
pub enum Stand {
    /// Equal.
    Equal,
    /// Equal as far as it could be compared; in words what was left out.
    EqualInPart(String),
    /// It could not be compared; in words why.
    NotCompared(String),
    /// Different; see the differences.
    Different,
}

/// What kind of difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Transactions of a ledger do not follow each other.
    Gap,
    /// A ledger counts other records than there are, or fates that do not sum up to them.
    Count,
    /// There, and should not be.
    Extra,
    /// Not there, and should be.
    Missing,
    /// More than once there.
    Doubled,
    /// There, with other content.
    Changed,
    /// A record that cannot be read where none such may be.
    Unreadable,
}

/// Where a difference is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Stage, where it is about a ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Table, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Topic, without the namespace's prefix.
    pub topic: String,
    /// Partition.
    pub partition: u32,
    /// Offset, where it is about one record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The record's key, where it has a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What kind.
    pub kind: Kind,
    /// Where.
    pub place: Place,
    /// In words.
    pub what: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Place { stage, table, topic, partition, offset, key } = &self.place;
        if let Some(table) = table {
            write!(f, "table {table}, ")?;
        }
        if let Some(stage) = stage {
            write!(f, "ledger of {stage}, ")?;
        }
        write!(f, "{topic}[{partition}]")?;
        if let Some(offset) = offset {
            write!(f, " offset {offset}")?;
        }
        if let Some(key) = key {
            write!(f, " key {key}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl Report {
    /// Whether nothing differs.
    pub fn is_equal(&self) -> bool {
        self.differences_in_all == 0
    }

    pub(crate) fn differ(&mut self, kind: Kind, place: Place, what: String) {
        self.differences_in_all += 1;
        if self.differences.len() < KEPT {
            self.differences.push(Difference { kind, place, what });
        }
    }
}
