//! Whether everything that came in is accounted for, and whether topics and tables hold what the ledgers say.
//!
//! Three comparisons, each against what another part wrote:
//!
//! 1. **Ledgers and input** ([`ledgers`]): a task's transactions follow each other without gap or overlap up to what the group has
//!    committed, count as many records as the input holds, and give each of them exactly one fate.
//! 2. **Ledgers and topics** ([`topics`]): every output partition holds as many records as all ledgers together say, with the same
//!    sum of hashes.
//! 3. **Topics and tables** ([`tables`]): of every delivered record there is exactly one row in the history table, and every one of
//!    its columns holds the record's value. Rows that no record explains are found too.
//!
//! It reads the log as any outside reader does and writes nothing. On a log that is in use it compares what had been committed when
//! it came there, and says where it could not.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod clickhouse;
mod ledgers;
mod report;
mod tables;
mod topics;

use millstream_deliver::DeliverConfig;
use millstream_transports::{Transport, TransportError};

pub use clickhouse::ClickHouseTables;
pub use report::{Difference, Kind, Place, Report, Stand, TableLine, TaskLine, TopicLine};
pub use tables::{RecordRow, RowCells, STRAYS, TableError, Tables};

/// What is compared.
#[derive(Debug)]
pub struct Scope<'a> {
    /// Delivery as configured: namespace, group, purposes, schema ids.
    pub deliver: &'a DeliverConfig,
    /// The stages that keep ledgers, with the topic that each reads.
    pub stages: &'a [(&'a str, &'a str)],
}

/// Why nothing could be compared.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The log.
    #[error("the log: {0}")]
    Log(#[from] TransportError),
    /// The warehouse.
    #[error("the warehouse: {0}")]
    Warehouse(#[from] TableError),
    /// The settings.
    #[error("{0}")]
    Config(#[from] millstream_deliver::DeliverError),
}

/// How far it is: pieces of work done, pieces in all, and what is looked at now.
pub type OnProgress<'a> = &'a mut dyn FnMut(u64, u64, &str);

/// Compares everything. Differences are in the report; an error means that something could not be read.
///
/// # Errors
/// Where log or warehouse cannot be read.
pub fn verify(
    transport: &dyn Transport,
    tables: &mut dyn Tables,
    scope: &Scope<'_>,
    progress: OnProgress<'_>,
) -> Result<Report, VerifyError> {
    let mut report = Report::default();
    let routes = millstream_deliver::routes(transport, &scope.deliver.topic_prefix, &scope.deliver.group)?;
    let outputs = topics::outputs(transport, scope)?;
    let ledger_partitions = u64::from(transport.partition_count(&scope.topic(ledgers::TOPIC))?);
    let of_topics: u64 = outputs.iter().map(|output| u64::from(output.partitions)).sum();
    let of_tables: u64 = routes.iter().map(|route| u64::from(route.partitions)).sum();
    let mut steps = Steps { done: 0, total: ledger_partitions + of_topics + of_tables, tell: progress };

    let mut books = ledgers::Books::open(transport, scope)?;
    books.read(scope, &mut steps, &mut report)?;
    topics::compare(transport, scope, &outputs, &mut books, &mut steps, &mut report)?;
    tables::compare(transport, scope, &routes, tables, &mut steps, &mut report)?;
    books.finish(&mut report);
    Ok(report)
}

impl Scope<'_> {
    fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.deliver.topic_prefix)
    }
}

/// Pieces of work, for progress.
struct Steps<'a> {
    done: u64,
    total: u64,
    tell: OnProgress<'a>,
}

impl Steps<'_> {
    fn at(&mut self, what: &str) {
        (self.tell)(self.done, self.total, what);
        self.done += 1;
    }
}
