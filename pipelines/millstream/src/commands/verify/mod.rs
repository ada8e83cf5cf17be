//! `millstream verify`

mod embedded;
mod print;

use std::io::{Write, stdout};
use std::process::ExitCode;

use millstream_deliver::{BatchLimits, ClickHouse, DeliverConfig};
use millstream_schemas::{Collected, Event};
use millstream_verify::{ClickHouseTables, Report, Scope, Tables, verify};

use crate::cli::VerifyArgs;
use crate::config::{Config, WarehouseKind};
use crate::error::Failure;
use crate::progress::{Progress, tell};
use crate::{app, delivery, log, registry};

use embedded::EmbeddedTables;

/// Each stage that keeps a ledger, and what it reads.
const STAGES: [(&str, &str); 2] = [("ingest", Collected::TOPIC), ("profile", Event::TOPIC)];
/// Something differs.
const DIFFERENT: u8 = 1;
/// It could not be compared.
const NOT_CHECKED: u8 = 2;

/// Compares and prints. Ends with 0 where nothing differs, 1 where something does, 2 where it could not be checked.
pub fn run(config: Result<Config, Failure>, args: &VerifyArgs) -> ExitCode {
    let checked = config.and_then(|config| check(&config)).and_then(|report| {
        let mut out = stdout().lock();
        if args.json {
            serde_json::to_writer_pretty(&mut out, &report)?;
            writeln!(out)?;
        } else {
            print::report(&report, &mut out)?;
        }
        out.flush()?;
        Ok(report)
    });
    match checked {
        Ok(report) if report.is_equal() => ExitCode::SUCCESS,
        Ok(report) => {
            tell(&format!("millstream: {} differences", report.differences_in_all));
            ExitCode::from(DIFFERENT)
        }
        Err(failure) => {
            tell(&format!("millstream: nothing could be verified: {failure}"));
            ExitCode::from(NOT_CHECKED)
        }
    }
}

fn check(config: &Config) -> Result<Report, Failure> {
    let ids = registry::register(&config.registry.url, &config.namespace)?;
    let transport = log::open(config)?;
    let (deliver, mut tables): (DeliverConfig, Box<dyn Tables>) = match config.warehouse {
        WarehouseKind::Embedded => (
            delivery::deliver_config(config, delivery::PARQUET, BatchLimits::parquet(), &ids)?,
            Box::new(EmbeddedTables::new(app::warehouse(config))),
        ),
        WarehouseKind::Clickhouse => (
            delivery::deliver_config(config, delivery::CLICKHOUSE, BatchLimits::clickhouse(), &ids)?,
            Box::new(ClickHouseTables::new(ClickHouse::new(&config.clickhouse)?)),
        ),
    };
    let scope = Scope { deliver: &deliver, stages: &STAGES };
    let mut progress = Progress::new("verifying", 0);
    let report =
        verify(transport.as_ref(), tables.as_mut(), &scope, &mut |done, total, what| progress.at(done, total, what))?;
    progress.done(if report.is_equal() { "everything agrees" } else { "there are differences" });
    Ok(report)
}
