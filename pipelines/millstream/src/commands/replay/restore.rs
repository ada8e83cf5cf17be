//! `millstream replay rebuild --from-warehouse`: a namespace from the table of accepted events, where the log has lost its beginning.

use std::ops::ControlFlow;

use millstream_deliver::{ClickHouse, QueryFormat};
use millstream_replay::restore::{Restorer, Table};

use super::rebuild::{prepare, process, start_stages};
use crate::app::{App, warehouse};
use crate::config::WarehouseKind;
use crate::error::Failure;
use crate::progress::{Progress, tell};

/// Restores and processes.
///
/// # Errors
/// Where something cannot be read or written, or the other namespace holds something else.
pub fn restore(app: &App, into: &str) -> Result<(), Failure> {
    let table: Box<dyn Table> = match app.config.warehouse {
        WarehouseKind::Embedded => Box::new(Embedded(warehouse(&app.config))),
        WarehouseKind::Clickhouse => Box::new(OnClickHouse(ClickHouse::new(&app.config.clickhouse)?)),
    };
    prepare(app, into)?;
    let mut restorer = Restorer::new(app.transport.as_ref(), &app.ids, &app.config.namespace, into)?;
    let running = start_stages(app, into)?;
    let mut progress = Progress::new("restore", 0);
    let mut processed = Ok(());
    let restored = restorer.restore(table.as_ref(), app.clock.now_ms(), &mut |done, all| {
        progress.at(done, all, "accepted events");
        // What one stage sends on must not wait behind years of the rest.
        processed = process(&running, done, into, &mut progress);
        if processed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    let restored = restored.map_err(Failure::from).and_then(|events| {
        processed?;
        process(&running, events, into, &mut progress)?;
        Ok(events)
    });
    let stopped = running.stop().map_err(Failure::new);
    let events = restored?;
    stopped?;
    progress.done(&format!("{events} accepted events processed anew in namespace {into:?}"));
    tell(&format!("`millstream replay compare --with {into}` compares what both tell, as far as topics reach back"));
    Ok(())
}

struct Embedded(millstream_warehouse::Warehouse);

impl Table for Embedded {
    fn ask(&self, sql: &str) -> Result<Vec<u8>, String> {
        let mut answer = Vec::new();
        self.0.query(sql, QueryFormat::Json, &mut answer).map_err(|error| error.to_string())?;
        Ok(answer)
    }
}

struct OnClickHouse(ClickHouse);

impl Table for OnClickHouse {
    fn ask(&self, sql: &str) -> Result<Vec<u8>, String> {
        let mut answer = Vec::new();
        self.0.query(sql, QueryFormat::Json, &mut answer).map_err(|error| error.to_string())?;
        Ok(answer)
    }
}
