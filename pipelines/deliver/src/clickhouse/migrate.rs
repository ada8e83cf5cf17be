//! Tables and views, made by a command and remembered by version.

use std::collections::BTreeSet;

use xxhash_rust::xxh3::xxh3_64;

use super::client::ClickHouse;
use super::error::ClickHouseError;
use super::types::{TOPIC_COLUMN, TOPIC_TYPE};
use crate::routes::delivered_records;
use crate::views::ANALYST_VIEWS;

/// One step of the tables' history. Its statements may be run again.
#[derive(Debug)]
pub struct Migration {
    /// Number, from 1; rises by one.
    pub version: u32,
    /// What it does.
    pub name: &'static str,
    statements: fn() -> Vec<String>,
}

/// All migrations, in order. A released one is never changed in what it has done to tables: a new column is a new migration.
pub const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "tables and current views of all records", statements: record_objects },
    Migration { version: 2, name: "views for analysts", statements: analyst_views },
    Migration { version: 3, name: "the topic of each row", statements: topic_columns },
];

/// What a migration run did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// Versions applied now; empty where all were in place.
    pub applied: Vec<u32>,
    /// The newest version.
    pub version: u32,
}

const VERSIONS_TABLE: &str = "CREATE TABLE IF NOT EXISTS millstream_migrations
(
    version UInt32 COMMENT 'Number of the migration.',
    name String COMMENT 'What it does.',
    checksum String COMMENT 'Of its statements: a changed one is run again.',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When it was applied.'
)
ENGINE = MergeTree
ORDER BY version";

fn record_objects() -> Vec<String> {
    delivered_records().flat_map(|(schema, _)| schema.clickhouse_ddl).map(|sql| (*sql).to_owned()).collect()
}

/// A topic that was made anew has the offsets of the former one: rows say which of them they are from.
fn topic_columns() -> Vec<String> {
    let add = |table: &str| {
        format!(
            "ALTER TABLE {table} ADD COLUMN IF NOT EXISTS `{TOPIC_COLUMN}` {TOPIC_TYPE} COMMENT 'Identity of the topic whose \
             partition and offset these are: it changes when a topic is made anew. Empty: from before it was noted.'"
        )
    };
    delivered_records().map(|(_, table)| add(table)).collect()
}

fn analyst_views() -> Vec<String> {
    ANALYST_VIEWS.iter().map(|view| format!("CREATE OR REPLACE VIEW {} AS\n{}", view.name, view.sql)).collect()
}

impl ClickHouse {
    /// Brings the database to this version: creates it, and applies what is not recorded yet, in order. May be run again, and
    /// after it was cut short.
    pub fn migrate(&self) -> Result<Migrated, ClickHouseError> {
        let database = self.database();
        self.execute_outside(&format!("CREATE DATABASE IF NOT EXISTS `{database}`"))?;
        self.execute(VERSIONS_TABLE)?;
        let recorded = self.recorded()?;
        let mut applied = Vec::new();
        for migration in MIGRATIONS {
            let statements = (migration.statements)();
            let checksum = checksum(&statements);
            if recorded.contains(&(migration.version, checksum.clone())) {
                continue;
            }
            for statement in &statements {
                self.execute(statement)?;
            }
            let Migration { version, name, .. } = migration;
            self.execute(&format!(
                "INSERT INTO millstream_migrations (version, name, checksum) VALUES ({version}, '{name}', '{checksum}')"
            ))?;
            applied.push(*version);
            tracing::info!(database, version, name, "migration applied");
        }
        Ok(Migrated { applied, version: MIGRATIONS.last().map_or(0, |migration| migration.version) })
    }

    /// Looks whether the server answers and the database is what this binary needs; every difference as a sentence with its
    /// remedy. Empty: all is well.
    pub fn check(&self) -> Result<Vec<String>, ClickHouseError> {
        let database = self.database();
        let mut problems = Vec::new();
        let exists = format!("SELECT count() FROM system.databases WHERE name = '{database}'");
        if self.outside_number(&exists)? == 0 {
            return Ok(vec![format!("database {database} does not exist; run `millstream migrate`")]);
        }
        let found = self.found(None)?;
        for (schema, table) in delivered_records() {
            problems.extend(found.drift(database, schema, table));
        }
        Ok(problems)
    }

    fn recorded(&self) -> Result<BTreeSet<(u32, String)>, ClickHouseError> {
        let rows = self.rows("SELECT DISTINCT version, checksum FROM millstream_migrations")?;
        let read = |row: &Vec<String>| Some((row.first()?.parse().ok()?, row.get(1)?.clone()));
        Ok(rows.iter().filter_map(read).collect())
    }
}

fn checksum(statements: &[String]) -> String {
    format!("{:016x}", xxh3_64(statements.join("\n;\n").as_bytes()))
}
