//! What was delivered, for metrics and summaries.

use std::collections::BTreeMap;

use crate::cause::Cause;

/// Counters since the deliverer was opened; they only rise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliverStats {
    /// By table.
    pub tables: BTreeMap<&'static str, TableStats>,
    /// Records that carry no row by design: control, watermarks, hand-overs and the like.
    pub skipped: u64,
    /// Records that ended in the dead-letter topic.
    pub rejected: u64,
    /// Batches that were rebuilt from their intent after a restart or a rebalance.
    pub rebuilt: u64,
    /// Failed attempts to insert.
    pub failed_inserts: u64,
    /// The same by table and cause.
    pub retries: BTreeMap<(&'static str, Cause), u64>,
    /// Intents that grew older than the sink's memory of tokens and were recorded anew, after the table was asked.
    pub renewed_intents: u64,
    /// Topics that turned out to be made anew under the same name: they were read from their beginning.
    pub topics_made_anew: u64,
    /// Times that the log was in trouble and was tried again.
    pub log_retries: u64,
    /// Times that the log's retention may have removed records before they were delivered.
    pub possible_gaps: u64,
    /// Times that this member was fenced and joined anew.
    pub rejoins: u64,
}

/// Counters of one table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableStats {
    /// Rows delivered.
    pub rows: u64,
    /// Batches delivered.
    pub batches: u64,
    /// Rows kept back because consent for one of the sink's purposes is missing.
    pub filtered: u64,
}

impl DeliverStats {
    /// Rows delivered, all tables.
    pub fn rows(&self) -> u64 {
        self.tables.values().map(|table| table.rows).sum()
    }

    /// Batches delivered, all tables.
    pub fn batches(&self) -> u64 {
        self.tables.values().map(|table| table.batches).sum()
    }

    /// Rows kept back, all tables.
    pub fn filtered(&self) -> u64 {
        self.tables.values().map(|table| table.filtered).sum()
    }

    pub(crate) fn table(&mut self, table: &'static str) -> &mut TableStats {
        self.tables.entry(table).or_default()
    }
}
