//! `millstream migrate`

use millstream_deliver::ClickHouse;

use crate::config::{Config, WarehouseKind};
use crate::error::Failure;
use crate::progress::tell;

/// Brings the warehouse's tables to this version.
///
/// # Errors
/// Where the warehouse refuses.
pub fn run(config: &Config) -> Result<(), Failure> {
    match config.warehouse {
        WarehouseKind::Embedded => {
            tell("the embedded warehouse needs no migration: its tables are made when their first rows come")
        }
        WarehouseKind::Clickhouse => {
            let migrated = ClickHouse::new(&config.clickhouse)?.migrate()?;
            tell(&format!(
                "{}: {} migrations applied, version {}",
                config.clickhouse.database,
                migrated.applied.len(),
                migrated.version
            ));
        }
    }
    Ok(())
}
