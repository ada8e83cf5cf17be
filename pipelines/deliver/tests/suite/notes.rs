//! A sink that only takes note of what it is given.

use std::sync::Mutex;

use millstream_deliver::{BatchId, Holding, Row, Sink, SinkError};
use millstream_schemas::RecordSchema;

/// Remembers the batches; a row is its offset.
#[derive(Default)]
pub struct Notes(pub Mutex<Vec<(BatchId, Vec<u64>)>>);

impl Notes {
    /// The tables of the batches, in the order in which they were inserted.
    pub fn tables(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().iter().map(|(batch, _)| batch.table).collect()
    }

    /// All offsets of a table with their topic's identity, in the order in which they were inserted.
    pub fn offsets(&self, table: &str) -> Vec<(String, u64)> {
        let notes = self.0.lock().unwrap();
        let of_table = notes.iter().filter(|(batch, _)| batch.table == table);
        of_table.flat_map(|(batch, rows)| rows.iter().map(|row| (batch.topic_id.clone(), *row))).collect()
    }
}

impl Sink for Notes {
    type Rows = Vec<u64>;

    fn begin(&self, _schema: &'static RecordSchema) -> Vec<u64> {
        Vec::new()
    }

    fn add(&self, rows: &mut Vec<u64>, row: &Row<'_>) -> Result<(), SinkError> {
        rows.push(row.log_offset);
        Ok(())
    }

    fn size_bytes(&self, rows: &Vec<u64>) -> usize {
        rows.len() * 1_000
    }

    fn insert(&self, batch: &BatchId, rows: &mut Vec<u64>) -> Result<(), SinkError> {
        let mut notes = self.0.lock().unwrap();
        if !notes.iter().any(|(known, _)| known.token() == batch.token()) {
            notes.push((batch.clone(), rows.clone()));
        }
        Ok(())
    }

    fn holds(&self, batch: &BatchId) -> Result<Holding, SinkError> {
        let known = self.0.lock().unwrap().iter().any(|(known, _)| known.token() == batch.token());
        Ok(if known { Holding::Everything } else { Holding::Nothing })
    }

    fn trusts_token_ms(&self) -> i64 {
        60_000
    }
}
