//! ClickHouse as a sink.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::OnceLock;

use millstream_schemas::RecordSchema;

use super::client::ClickHouse;
use super::error::ClickHouseError;
use super::row_binary::write_row;
use crate::batch::BatchId;
use crate::routes::delivered_records;
use crate::sink::{Holding, Row, Sink, SinkError};

/// Blocks whose tokens a table remembers; the tables' `non_replicated_deduplication_window`.
const REMEMBERED_BLOCKS: i64 = 10_000;
/// Inserts a second into one table that we assume at most, all deliverers together. The token of a batch is then remembered for
/// 10,000 / 16 s, and trusted for half of it.
const ASSUMED_INSERTS_PER_SECOND: i64 = 16;

/// Delivers into the tables that [`ClickHouse::migrate`] made.
#[derive(Debug)]
pub struct ClickHouseSink {
    client: ClickHouse,
    /// By table.
    statements: BTreeMap<&'static str, String>,
    /// Whether the server knows the setting `deduplicate_insert`, which newer ones obey instead of `insert_deduplicate`.
    knows_deduplicate_insert: OnceLock<bool>,
}

/// Rows of one batch in RowBinary.
#[derive(Debug)]
pub struct EncodedRows {
    schema: &'static RecordSchema,
    bytes: Vec<u8>,
}

impl ClickHouseSink {
    /// A sink of this client; nothing is connected yet.
    pub fn new(client: ClickHouse) -> Self {
        let statements = delivered_records().map(|(schema, table)| (table, insert_statement(schema, table))).collect();
        Self { client, statements, knows_deduplicate_insert: OnceLock::new() }
    }

    /// The client.
    pub fn client(&self) -> &ClickHouse {
        &self.client
    }

    fn knows_deduplicate_insert(&self) -> Result<bool, ClickHouseError> {
        if let Some(known) = self.knows_deduplicate_insert.get() {
            return Ok(*known);
        }
        let sql = "SELECT count() FROM system.settings WHERE name = 'deduplicate_insert'";
        let known = self.client.number(sql)? > 0;
        Ok(*self.knows_deduplicate_insert.get_or_init(|| known))
    }

    fn count(&self, batch: &BatchId) -> Result<u64, ClickHouseError> {
        self.client.number(&format!("SELECT count() FROM {} WHERE {}", batch.table, range(batch)))
    }
}

impl Sink for ClickHouseSink {
    type Rows = EncodedRows;

    fn begin(&self, schema: &'static RecordSchema) -> EncodedRows {
        EncodedRows { schema, bytes: Vec::new() }
    }

    fn add(&self, rows: &mut EncodedRows, row: &Row<'_>) -> Result<(), SinkError> {
        write_row(&mut rows.bytes, rows.schema, row.values, row.log_partition, row.log_offset)
            .map_err(SinkError::Conflict)
    }

    fn size_bytes(&self, rows: &EncodedRows) -> usize {
        rows.bytes.len()
    }

    fn insert(&self, batch: &BatchId, rows: &mut EncodedRows) -> Result<(), SinkError> {
        let Some(statement) = self.statements.get(batch.table) else {
            return Err(SinkError::Conflict(format!("no record fills table {}", batch.table)));
        };
        let token = batch.token();
        let mut settings = vec![
            // The acknowledgement must speak of the rows, not of a queue.
            ("async_insert", "0"),
            ("insert_deduplicate", "1"),
            ("insert_deduplication_token", token.as_str()),
            ("deduplicate_blocks_in_dependent_materialized_views", "1"),
            // One batch is one block: nothing may cut it into several, each with a memory of its own.
            ("max_insert_block_size", "1048576"),
            ("min_insert_block_size_rows", "1048576"),
            ("min_insert_block_size_bytes", "1073741824"),
            ("wait_end_of_query", "1"),
        ];
        if self.knows_deduplicate_insert()? {
            settings.push(("deduplicate_insert", "enable"));
        }
        Ok(self.client.insert(statement, &settings, &rows.bytes)?)
    }

    fn holds(&self, batch: &BatchId) -> Result<Holding, SinkError> {
        let rows = self.count(batch)?;
        if rows == 0 {
            return Ok(Holding::Nothing);
        }
        if rows != batch.rows {
            return Ok(Holding::Part { rows });
        }
        let Some((schema, table)) = delivered_records().find(|(_, table)| *table == batch.table) else {
            return Err(SinkError::Conflict(format!("no record fills table {}", batch.table)));
        };
        if !schema.append_only {
            // An insert cut short may have reached the history and not the latest rows. Copying twice does no harm: equal
            // revisions of a key are one row to a ReplacingMergeTree.
            let columns = columns(schema);
            self.client.execute(&format!(
                "INSERT INTO {table}_latest ({columns}) SELECT {columns} FROM {table} WHERE {}",
                range(batch)
            ))?;
        }
        Ok(Holding::Everything)
    }

    fn trusts_token_ms(&self) -> i64 {
        REMEMBERED_BLOCKS * 1_000 / ASSUMED_INSERTS_PER_SECOND / 2
    }
}

fn range(batch: &BatchId) -> String {
    let BatchId { partition, first, last, .. } = batch;
    format!("log_partition = {partition} AND log_offset BETWEEN {first} AND {last}")
}

fn columns(schema: &RecordSchema) -> String {
    schema.fields.iter().map(|field| format!("`{}`", field.name)).collect::<Vec<_>>().join(", ")
}

fn insert_statement(schema: &RecordSchema, table: &str) -> String {
    let mut statement = format!("INSERT INTO {table} ({}", columns(schema));
    // Writing to a string does not fail.
    let _ = write!(statement, ", `log_partition`, `log_offset`) FORMAT RowBinary");
    statement
}
