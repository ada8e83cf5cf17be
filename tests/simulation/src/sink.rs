//! A warehouse in memory: keeps rows as ClickHouse's history tables do, and tokens as its de-duplication window does.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::sync::Arc;

use millstream_deliver::{BatchId, Holding, Row, Sink, SinkError};
use millstream_runtime::Clock;
use millstream_schemas::{RecordSchema, Value};
use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_64;

use crate::mutation::Mutation;
use crate::tally::Strike;
use crate::world::World;

/// The rows of a table: partition and offset to the hash of what is in the row.
pub type Table = BTreeMap<(u32, u64), u64>;

/// The warehouse itself; it outlives every process.
#[derive(Debug, Default)]
pub struct Warehouse {
    tables: BTreeMap<&'static str, Table>,
    /// Tokens and when they were last used, by the shop's clock, oldest first.
    tokens: VecDeque<(String, i64)>,
    /// The first row that was inserted twice.
    doubled: Option<String>,
}

impl Warehouse {
    /// The rows of a table.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.get(name)
    }

    /// Rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.values().map(|table| table.len() as u64).sum()
    }

    /// What was inserted twice, if anything was.
    pub fn doubled(&self) -> Option<&String> {
        self.doubled.as_ref()
    }

    fn insert(&mut self, table: &'static str, token: String, rows: &Rows, now_ms: i64, window_ms: i64) {
        while self.tokens.front().is_some_and(|(_, at_ms)| now_ms - at_ms > window_ms) {
            self.tokens.pop_front();
        }
        if self.tokens.iter().any(|(known, _)| *known == token) {
            return;
        }
        self.tokens.push_back((token, now_ms));
        let kept = self.tables.entry(table).or_default();
        for &(partition, offset, hash) in rows {
            if kept.insert((partition, offset), hash).is_some() && self.doubled.is_none() {
                self.doubled =
                    Some(format!("{table}: the row of partition {partition}, offset {offset} was inserted twice"));
            }
        }
    }
}

/// Rows as they are inserted: partition, offset, hash of the values.
pub type Rows = Vec<(u32, u64, u64)>;

/// The hash of a row's values.
pub fn row_hash(values: &[Value<'_>]) -> u64 {
    let mut text = String::with_capacity(512);
    // Writing to a string cannot fail.
    let _written = write!(text, "{values:?}");
    xxh3_64(text.as_bytes())
}

/// One process's way to the warehouse.
pub struct WarehouseLine {
    /// The world.
    pub world: Arc<World>,
    /// The deliverer's slot.
    pub slot: usize,
    /// The warehouse.
    pub warehouse: Arc<Mutex<Warehouse>>,
}

impl WarehouseLine {
    fn reach(&self) -> Result<(), SinkError> {
        match self.world.warehouse_is_down() {
            true => Err(SinkError::Unavailable("the warehouse is down".to_owned())),
            false => Ok(()),
        }
    }
}

impl Sink for WarehouseLine {
    type Rows = Rows;

    fn begin(&self, _schema: &'static RecordSchema) -> Rows {
        Rows::new()
    }

    fn add(&self, rows: &mut Rows, row: &Row<'_>) -> Result<(), SinkError> {
        rows.push((row.log_partition, row.log_offset, row_hash(row.values)));
        Ok(())
    }

    fn size_bytes(&self, rows: &Rows) -> usize {
        rows.len() * 64
    }

    fn insert(&self, batch: &BatchId, rows: &mut Rows) -> Result<(), SinkError> {
        // The intent's age was looked at: from here on an insert may take half the warehouse's memory, and no longer.
        self.world.within(self.trusts_token_ms(), || self.world.point(self.slot));
        self.reach()?;
        let fault = self.world.draw_insert_fault();
        if fault == Some(Strike::InsertFailed) {
            return Err(SinkError::Unavailable("the insert failed".to_owned()));
        }
        let token = match self.world.plan.mutation {
            Some(Mutation::ReusedToken) => format!("{}/{}", batch.table, batch.partition),
            _ => batch.token(),
        };
        let now_ms = self.world.clock.now_ms();
        self.warehouse.lock().insert(batch.table, token, rows, now_ms, self.world.plan.token_window_ms);
        self.world.point(self.slot);
        match fault {
            Some(_) => Err(SinkError::Unavailable("the answer was lost".to_owned())),
            None => Ok(()),
        }
    }

    fn holds(&self, batch: &BatchId) -> Result<Holding, SinkError> {
        self.reach()?;
        let warehouse = self.warehouse.lock();
        let range = (batch.partition, batch.first)..=(batch.partition, batch.last);
        let rows = warehouse.table(batch.table).map_or(0, |table| table.range(range).count()) as u64;
        Ok(match rows {
            0 => Holding::Nothing,
            rows if rows == batch.rows => Holding::Everything,
            rows => Holding::Part { rows },
        })
    }

    fn trusts_token_ms(&self) -> i64 {
        self.world.plan.token_window_ms / 2
    }
}
