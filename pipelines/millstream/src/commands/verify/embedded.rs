//! The embedded warehouse as verification reads it.

use std::ops::Range;

use millstream_deliver::Route;
use millstream_schemas::{RecordSchema, Value};
use millstream_verify::{RecordRow, RowCells, STRAYS, TableError, Tables};
use millstream_warehouse::{Cells, ExactRows, Warehouse, WarehouseError, cells_of};

/// The tables of one folder. Files are read once, in the order of their offsets.
pub struct EmbeddedTables {
    warehouse: Warehouse,
    open: Option<(&'static str, u32, ExactRows)>,
}

impl EmbeddedTables {
    /// Nothing is read yet.
    pub fn new(warehouse: Warehouse) -> Self {
        Self { warehouse, open: None }
    }

    fn rows(&mut self, route: &Route, partition: u32, below: u64) -> Result<Vec<Cells>, WarehouseError> {
        let is_open = self.open.as_ref().is_some_and(|open| (open.0, open.1) == (route.table, partition));
        if !is_open {
            let rows = self.warehouse.exact_rows(route.schema, route.table, partition)?;
            self.open = Some((route.table, partition, rows));
        }
        self.open.as_mut().map_or(Ok(Vec::new()), |open| open.2.below(below))
    }
}

impl Tables for EmbeddedTables {
    fn stored(&mut self, route: &Route, partition: u32, offsets: Range<u64>) -> Result<Vec<RowCells>, TableError> {
        self.rows(route, partition, offsets.end).map(named).map_err(|error| TableError(error.to_string()))
    }

    fn strays(&mut self, route: &Route) -> Result<Vec<(u32, u64)>, TableError> {
        let strays = self.warehouse.strays(route.table, route.partitions, STRAYS);
        strays.map_err(|error| TableError(error.to_string()))
    }

    fn expected(&mut self, schema: &'static RecordSchema, rows: &[RecordRow<'_>]) -> Result<Vec<RowCells>, TableError> {
        let rows: Vec<(u64, &[Value<'_>])> = rows.iter().map(|row| (row.offset, row.values.as_slice())).collect();
        cells_of(schema, &rows).map(named).map_err(|error| TableError(error.to_string()))
    }
}

fn named(rows: Vec<Cells>) -> Vec<RowCells> {
    rows.into_iter().map(|(offset, cells)| RowCells { offset, cells }).collect()
}
