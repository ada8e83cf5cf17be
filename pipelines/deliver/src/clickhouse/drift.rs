//! Whether the server's tables are as this binary needs them; where they are not: table, column, what is expected, what was found, and
//! the command that mends it.

use std::collections::{BTreeMap, BTreeSet};

use millstream_schemas::RecordSchema;

use super::client::ClickHouse;
use super::error::ClickHouseError;
use super::types::{column_type, history_columns, normal};

/// What a database has.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Types by table and column.
    columns: BTreeMap<String, BTreeMap<String, String>>,
    /// Tables that remember no insert tokens.
    unguarded: BTreeSet<String>,
}

impl ClickHouse {
    /// What the server has of all tables, or of those of one record.
    pub(super) fn found(&self, table: Option<&str>) -> Result<Found, ClickHouseError> {
        let database = self.database();
        let only = |column: &str| match table {
            Some(table) => format!(" AND {column} IN ('{table}', '{table}_latest')"),
            None => String::new(),
        };
        let columns = format!(
            "SELECT table, name, replaceRegexpAll(type, '\\\\s+', ' ') FROM system.columns WHERE database = '{database}'{}",
            only("table")
        );
        let mut found = Found::default();
        for row in self.rows(&columns)? {
            let [table, name, ty] = row.as_slice() else { continue };
            // Quotes come escaped in tab-separated text.
            let ty = normal(&ty.replace("\\'", "'"));
            found.columns.entry(table.clone()).or_default().insert(name.clone(), ty);
        }
        let unguarded = format!(
            "SELECT name FROM system.tables WHERE database = '{database}'{} AND engine LIKE '%MergeTree' \
             AND engine NOT LIKE 'Replicated%' AND engine NOT LIKE 'Shared%' \
             AND engine_full NOT LIKE '%non_replicated_deduplication_window%'",
            only("name")
        );
        found.unguarded = self.rows(&unguarded)?.into_iter().flatten().collect();
        Ok(found)
    }
}

impl Found {
    /// What is wrong with a record's tables, as sentences; empty where they are as they must be.
    pub(super) fn drift(&self, database: &str, schema: &RecordSchema, table: &str) -> Vec<String> {
        let mut problems = Vec::new();
        self.compare(database, table, &history_columns(schema), &mut problems);
        if !schema.append_only {
            let own: Vec<(&str, String)> = schema.fields.iter().map(|field| (field.name, column_type(field))).collect();
            self.compare(database, &format!("{table}_latest"), &own, &mut problems);
        }
        problems
    }

    fn compare(&self, database: &str, table: &str, wanted: &[(&str, String)], problems: &mut Vec<String>) {
        let Some(columns) = self.columns.get(table) else {
            problems.push(format!("table {database}.{table} does not exist; run `millstream migrate`"));
            return;
        };
        if self.unguarded.contains(table) {
            problems.push(format!(
                "table {database}.{table} remembers no insert tokens, so that a repeated batch would double: ALTER TABLE \
                 {database}.{table} MODIFY SETTING non_replicated_deduplication_window = 10000"
            ));
        }
        for (column, expected) in wanted {
            match columns.get(*column) {
                None => problems.push(format!(
                    "column {database}.{table}.{column} does not exist, {expected} is expected: the table is of another version \
                     than this binary: run `millstream migrate`; where that changes nothing: ALTER TABLE {database}.{table} ADD \
                     COLUMN `{column}` {expected}"
                )),
                Some(found) if *found != normal(expected) => problems.push(format!(
                    "column {database}.{table}.{column} is {found}, {expected} is expected: ALTER TABLE {database}.{table} MODIFY \
                     COLUMN `{column}` {expected}"
                )),
                Some(_) => {}
            }
        }
    }
}
