//! ClickHouse as verification reads it: its rows in RowBinary, compared with what delivery would encode.

use std::collections::BTreeMap;
use std::ops::Range;

use millstream_deliver::clickhouse::write_field;
use millstream_deliver::{ClickHouse, QueryFormat, Route};
use millstream_schemas::{Field, FieldType, RecordSchema};
use xxhash_rust::xxh3::xxh3_64;

use crate::tables::{RecordRow, RowCells, STRAYS, TableError, Tables};

/// The column that says of which topic a row is, in databases that have it: a topic that was made anew begins its offsets again.
const TOPIC_COLUMN: &str = "log_topic_id";

/// The tables of one database.
#[derive(Debug)]
pub struct ClickHouseTables {
    client: ClickHouse,
    /// Whether a table tells topics of the same name apart.
    knows_topics: BTreeMap<&'static str, bool>,
}

impl ClickHouseTables {
    /// Through this client; nothing is asked yet.
    pub fn new(client: ClickHouse) -> Self {
        Self { client, knows_topics: BTreeMap::new() }
    }

    fn knows_topics(&mut self, table: &'static str) -> Result<bool, TableError> {
        if let Some(known) = self.knows_topics.get(table) {
            return Ok(*known);
        }
        let sql = format!(
            "SELECT count() FROM system.columns WHERE database = currentDatabase() AND table = '{table}' AND name = '{TOPIC_COLUMN}'"
        );
        let known = self.client.number(&sql).map_err(|error| TableError(error.to_string()))? > 0;
        self.knows_topics.insert(table, known);
        Ok(known)
    }

    /// The condition that leaves out rows of a former topic of the same name.
    fn of_topic(&mut self, route: &Route) -> Result<String, TableError> {
        if !self.knows_topics(route.table)? {
            return Ok(String::new());
        }
        let quoted = route.topic_id.replace('\\', "\\\\").replace('\'', "\\'");
        // Rows from before there was such a column have an empty one.
        Ok(format!(" AND {TOPIC_COLUMN} IN ('{quoted}', '')"))
    }
}

impl Tables for ClickHouseTables {
    fn stored(&mut self, route: &Route, partition: u32, offsets: Range<u64>) -> Result<Vec<RowCells>, TableError> {
        let columns: Vec<String> = route.schema.fields.iter().map(|field| format!("`{}`", field.name)).collect();
        let of_topic = self.of_topic(route)?;
        let sql = format!(
            "SELECT {}, log_offset FROM {} WHERE log_partition = {partition} AND log_offset >= {} AND log_offset < {}{of_topic} \
             ORDER BY log_offset FORMAT RowBinary",
            columns.join(", "),
            route.table,
            offsets.start,
            offsets.end
        );
        let mut bytes = Vec::new();
        self.client.query(&sql, QueryFormat::Csv, &mut bytes).map_err(|error| TableError(error.to_string()))?;
        let unreadable = || TableError(format!("the rows of {} are of other types than the schema's", route.table));
        let (mut rest, mut rows) = (bytes.as_slice(), Vec::new());
        while !rest.is_empty() {
            let mut cells = Vec::with_capacity(route.schema.fields.len());
            for field in route.schema.fields {
                let before = rest;
                skip_field(&mut rest, field).ok_or_else(unreadable)?;
                cells.push(xxh3_64(before.get(..before.len() - rest.len()).unwrap_or_default()));
            }
            let (offset, after) = rest.split_first_chunk::<8>().ok_or_else(unreadable)?;
            rest = after;
            rows.push(RowCells { offset: u64::from_le_bytes(*offset), cells });
        }
        Ok(rows)
    }

    fn strays(&mut self, route: &Route) -> Result<Vec<(u32, u64)>, TableError> {
        let of_topic = self.of_topic(route)?;
        let (table, partitions) = (route.table, route.partitions);
        let sql = format!(
            "SELECT log_partition, log_offset FROM {table} WHERE log_partition >= {partitions}{of_topic} \
             ORDER BY log_partition, log_offset LIMIT {STRAYS}"
        );
        let rows = self.client.rows(&sql).map_err(|error| TableError(error.to_string()))?;
        let place = |row: &Vec<String>| Some((row.first()?.parse().ok()?, row.get(1)?.parse().ok()?));
        rows.iter()
            .map(|row| place(row).ok_or_else(|| TableError(format!("{table}: {row:?} is no partition and offset"))))
            .collect()
    }

    fn expected(&mut self, schema: &'static RecordSchema, rows: &[RecordRow<'_>]) -> Result<Vec<RowCells>, TableError> {
        let mut bytes = Vec::new();
        rows.iter()
            .map(|row| {
                let mut cells = Vec::with_capacity(schema.fields.len());
                for (field, value) in schema.fields.iter().zip(&row.values) {
                    bytes.clear();
                    write_field(&mut bytes, field, value).map_err(TableError)?;
                    cells.push(xxh3_64(&bytes));
                }
                Ok(RowCells { offset: row.offset, cells })
            })
            .collect()
    }
}

/// Passes over one field's value; `None` where the bytes end within it.
fn skip_field(rest: &mut &[u8], field: &Field) -> Option<()> {
    if field.optional && take(rest, 1)?.first() == Some(&1) {
        return Some(());
    }
    match field.ty {
        FieldType::Symbol | FieldType::String | FieldType::Json | FieldType::Id | FieldType::Bytes => {
            skip_bytes(rest)?;
        }
        FieldType::Bool => {
            take(rest, 1)?;
        }
        FieldType::Int => {
            take(rest, 4)?;
        }
        FieldType::Long | FieldType::Double | FieldType::Timestamp | FieldType::Decimal => {
            take(rest, 8)?;
        }
        FieldType::Strings => {
            for _ in 0..length(rest)? {
                skip_bytes(rest)?;
            }
        }
        FieldType::Records(nested) => {
            for _ in 0..length(rest)? {
                for field in nested.fields {
                    skip_field(rest, field)?;
                }
            }
        }
    }
    Some(())
}

fn skip_bytes(rest: &mut &[u8]) -> Option<()> {
    let length = usize::try_from(length(rest)?).ok()?;
    take(rest, length).map(drop)
}

fn take<'a>(rest: &mut &'a [u8], bytes: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(bytes)?;
    *rest = after;
    Some(taken)
}

/// LEB128.
fn length(rest: &mut &[u8]) -> Option<u64> {
    let mut length = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *take(rest, 1)?.first()?;
        length |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(length);
        }
    }
    None
}
