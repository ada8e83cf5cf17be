//! A DataFusion session over the files that are there now.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::error::DataFusionError;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use millstream_deliver::delivered_records;
use millstream_deliver::views::ANALYST_VIEWS;
use millstream_schemas::RecordSchema;
use url::Url;

use crate::error::WarehouseError;
use crate::files::TableFiles;
use crate::tables::table_schema;

/// Memory that one query may use before it spills to disk, in bytes.
const QUERY_MEMORY_BYTES: usize = 1 << 30;

/// A session in which every record's table, its current rows and the analysts' views are there, filled or not.
pub(crate) async fn session(folder: &Path) -> Result<SessionContext, WarehouseError> {
    let runtime = RuntimeEnvBuilder::new().with_memory_limit(QUERY_MEMORY_BYTES, 1.0).build_arc()?;
    let config = SessionConfig::new().with_information_schema(true);
    let context = SessionContext::new_with_config_rt(config, runtime);
    for (schema, table) in delivered_records() {
        register(&context, &folder.join(table), schema, table)?;
        context.sql(&format!("CREATE VIEW {table}_current AS {}", current_rows(schema, table))).await?;
    }
    for view in ANALYST_VIEWS {
        context.sql(&format!("CREATE VIEW {} AS {}", view.name, view.sql)).await?;
    }
    Ok(context)
}

fn register(context: &SessionContext, folder: &Path, schema: &RecordSchema, table: &str) -> Result<(), WarehouseError> {
    let columns = nullable(&table_schema(schema));
    let files = TableFiles::list(folder)?.current;
    if files.is_empty() {
        context.register_table(table, Arc::new(EmptyTable::new(columns)))?;
        return Ok(());
    }
    let mut urls = Vec::with_capacity(files.len());
    for file in files {
        let path = file.path.canonicalize().map_err(WarehouseError::io(&file.path))?;
        let url = Url::from_file_path(&path)
            .map_err(|()| DataFusionError::Plan(format!("{} cannot be written as an address", path.display())))?;
        urls.push(ListingTableUrl::try_new(url, None)?);
    }
    let options = ListingOptions::new(Arc::new(ParquetFormat::default()));
    let config = ListingTableConfig::new_with_multi_paths(urls).with_listing_options(options).with_schema(columns);
    context.register_table(table, Arc::new(ListingTable::try_new(config)?))?;
    Ok(())
}

/// For reading, every column may be null: a file that is older than a column does not have it.
fn nullable(schema: &SchemaRef) -> SchemaRef {
    Arc::new(Schema::new(
        schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect::<Vec<_>>(),
    ))
}

/// One row a key: its newest revision, unless that one is retracted. Of two equal revisions the one later in the log, as
/// ReplacingMergeTree has it. Revision and log offset are compared as one number, because a maximum and a join take a third of
/// the time of sorting every key's revisions.
fn current_rows(schema: &RecordSchema, table: &str) -> String {
    let list = |texts: &mut dyn Iterator<Item = String>, by: &str| texts.collect::<Vec<_>>().join(by);
    let columns = list(&mut schema.fields.iter().map(|field| format!("r.\"{0}\" AS \"{0}\"", field.name)), ", ");
    if schema.append_only {
        return format!("SELECT {columns} FROM {table} AS r WHERE NOT r.retracted");
    }
    // Below 2^64 × 10^18 + 10^18, which 38 digits hold.
    let age = "CAST(revision AS DECIMAL(38, 0)) * 1000000000000000000 + log_offset";
    let keys = list(&mut schema.key.iter().map(|name| format!("\"{name}\" AS \"key_{name}\"")), ", ");
    let group = list(&mut schema.key.iter().map(|name| format!("\"{name}\"")), ", ");
    let same = list(&mut schema.key.iter().map(|name| format!("r.\"{name}\" = newest.\"key_{name}\"")), " AND ");
    format!(
        "SELECT {columns} FROM (SELECT *, {age} AS age FROM {table}) AS r \
         JOIN (SELECT {keys}, max({age}) AS age FROM {table} GROUP BY {group}) AS newest \
         ON {same} AND r.age = newest.age WHERE NOT r.retracted"
    )
}
