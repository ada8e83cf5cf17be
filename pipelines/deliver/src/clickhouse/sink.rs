//! ClickHouse as a sink.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::OnceLock;

use millstream_schemas::RecordSchema;
use parking_lot::Mutex;

use super::client::ClickHouse;
use super::error::ClickHouseError;
use super::row_binary::write_row;
use super::types::{LOG_COLUMNS, TOPIC_COLUMN, header};
use crate::batch::BatchId;
use crate::cause::Cause;
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
    /// Tables that were found as they must be, since they last refused an insert.
    compared: Mutex<BTreeSet<&'static str>>,
}

/// Rows of one batch in RowBinary, behind names and types of the columns.
#[derive(Debug)]
pub struct EncodedRows {
    schema: &'static RecordSchema,
    topic_id: String,
    bytes: Vec<u8>,
}

impl ClickHouseSink {
    /// A sink of this client; nothing is connected yet.
    pub fn new(client: ClickHouse) -> Self {
        let statements = delivered_records().map(|(schema, table)| (table, insert_statement(schema, table))).collect();
        Self { client, statements, knows_deduplicate_insert: OnceLock::new(), compared: Mutex::default() }
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

    /// Refuses a table that is not as this binary needs it, before anything is sent into it. Asked once, and again after the table has
    /// refused something.
    fn compare(&self, table: &'static str) -> Result<(), SinkError> {
        if self.compared.lock().contains(table) {
            return Ok(());
        }
        let Some((schema, _)) = delivered_records().find(|(_, delivered)| *delivered == table) else {
            return Err(SinkError::Conflict(format!("no record fills table {table}")));
        };
        let problems = self.client.found(Some(table))?.drift(self.client.database(), schema, table);
        if !problems.is_empty() {
            return Err(SinkError::Troubled { cause: Cause::SchemaDrift, why: problems.join("; ") });
        }
        self.compared.lock().insert(table);
        Ok(())
    }

    /// A refusal may mean that the table was changed: it is compared before the next attempt, and if it has changed, that is said.
    fn explain(&self, table: &'static str, error: ClickHouseError) -> SinkError {
        if error.passes() {
            return error.into();
        }
        self.compared.lock().remove(table);
        match self.compare(table) {
            Err(drift @ SinkError::Troubled { cause: Cause::SchemaDrift, .. }) => drift,
            _ => error.into(),
        }
    }

    fn count(&self, batch: &BatchId) -> Result<u64, ClickHouseError> {
        self.client.number(&format!("SELECT count() FROM {} WHERE {}", batch.table, range(batch)))
    }
}

impl Sink for ClickHouseSink {
    type Rows = EncodedRows;

    fn begin(&self, schema: &'static RecordSchema) -> EncodedRows {
        self.begin_of(schema, "")
    }

    fn begin_of(&self, schema: &'static RecordSchema, topic_id: &str) -> EncodedRows {
        EncodedRows { schema, topic_id: topic_id.to_owned(), bytes: header(schema) }
    }

    fn add(&self, rows: &mut EncodedRows, row: &Row<'_>) -> Result<(), SinkError> {
        let EncodedRows { schema, topic_id, bytes } = rows;
        write_row(bytes, schema, row.values, row.log_partition, row.log_offset, topic_id).map_err(SinkError::Conflict)
    }

    fn size_bytes(&self, rows: &EncodedRows) -> usize {
        rows.bytes.len()
    }

    fn insert(&self, batch: &BatchId, rows: &mut EncodedRows) -> Result<(), SinkError> {
        let Some(statement) = self.statements.get(batch.table) else {
            return Err(SinkError::Conflict(format!("no record fills table {}", batch.table)));
        };
        self.compare(batch.table)?;
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
            // The server compares names and types with the table's.
            ("input_format_with_names_use_header", "1"),
            ("input_format_with_types_use_header", "1"),
            ("input_format_skip_unknown_fields", "0"),
        ];
        if self.knows_deduplicate_insert()? {
            settings.push(("deduplicate_insert", "enable"));
        }
        self.client.insert(statement, &settings, &rows.bytes).map_err(|error| self.explain(batch.table, error))
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
    let BatchId { partition, first, last, topic_id, .. } = batch;
    // Offsets say something only together with the topic whose they are: one that was made anew has the same ones.
    let topic_id = topic_id.replace('\\', "\\\\").replace('\'', "\\'");
    format!("log_partition = {partition} AND log_offset BETWEEN {first} AND {last} AND {TOPIC_COLUMN} = '{topic_id}'")
}

fn columns(schema: &RecordSchema) -> String {
    schema.fields.iter().map(|field| format!("`{}`", field.name)).collect::<Vec<_>>().join(", ")
}

fn insert_statement(schema: &RecordSchema, table: &str) -> String {
    let mut statement = format!("INSERT INTO {table} ({}", columns(schema));
    for (column, _) in LOG_COLUMNS {
        // Writing to a string does not fail.
        let _ = write!(statement, ", `{column}`");
    }
    statement.push_str(") FORMAT RowBinaryWithNamesAndTypes");
    statement
}
