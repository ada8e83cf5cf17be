//! `millstream query`

use std::io::{Write, stdout};

use millstream_deliver::{ClickHouse, QueryFormat};

use crate::app::warehouse;
use crate::cli::{Format, QueryArgs};
use crate::config::{Config, WarehouseKind};
use crate::error::Failure;

/// Runs one statement and prints its answer.
///
/// # Errors
/// In the warehouse's words.
pub fn run(config: &Config, args: &QueryArgs) -> Result<(), Failure> {
    let format = match args.format {
        Format::Table => QueryFormat::Table,
        Format::Csv => QueryFormat::Csv,
        Format::Json => QueryFormat::Json,
    };
    let mut out = stdout().lock();
    match config.warehouse {
        WarehouseKind::Embedded => {
            let folder = config.warehouse_folder();
            if !folder.exists() {
                let hint = "run the demo or an import first, or set MILLSTREAM_DATA_DIR";
                return Err(Failure::new(format!("there is no warehouse in {} yet: {hint}", folder.display())));
            }
            warehouse(config).query(&args.sql, format, &mut out).map_err(|error| explained(&error.to_string()))?;
        }
        WarehouseKind::Clickhouse => ClickHouse::new(&config.clickhouse)?.query(&args.sql, format, &mut out)?,
    }
    out.flush()?;
    Ok(())
}

/// What the embedded warehouse refused, in the names one asks by, and where a table is unknown how to see those that there are.
fn explained(words: &str) -> Failure {
    let words = words.replace("datafusion.public.", "");
    let hint = if words.contains("table '") && words.ends_with("' not found") {
        "; `millstream query \"select table_name from information_schema.tables order by table_name\"` lists tables and views"
    } else {
        ""
    };
    Failure::new(words + hint)
}
