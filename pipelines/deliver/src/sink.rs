//! What a warehouse must offer to be delivered to.

use millstream_schemas::{RecordSchema, Value};

use crate::batch::BatchId;
use crate::cause::Cause;

/// One row: a record's values and where it stands in the log.
#[derive(Debug)]
pub struct Row<'a> {
    /// Partition of the topic it came from (column `log_partition`).
    pub log_partition: u32,
    /// Offset in it (column `log_offset`).
    pub log_offset: u64,
    /// The record's values, in the order of its schema's fields; complete, for a damaged record is no row.
    pub values: &'a [Value<'a>],
}

/// What a sink has of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// No row of it.
    Nothing,
    /// All of it, and all that derives from it.
    Everything,
    /// Some of its rows, which a sink that inserts whole batches should never show.
    Part {
        /// Rows found.
        rows: u64,
    },
}

/// Why a sink did not take a batch.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// It cannot be reached, is overloaded, or did not answer in time. Whether the batch is in is unknown. Retried for ever.
    #[error("the sink cannot be reached: {0}")]
    Unavailable(String),
    /// It answered and refused. Retried, because an operator can mend it meanwhile; other tables go on.
    #[error("the sink refused: {0}")]
    Refused(String),
    /// What is the matter is known more exactly. Retried for ever, with waits that grow.
    #[error("the sink does not take it ({}): {why}", cause.as_str())]
    Troubled {
        /// What is the matter.
        cause: Cause,
        /// In the sink's words, and what mends it.
        why: String,
    },
    /// It holds something that contradicts the batch. Nothing is retried: the deliverer stops.
    #[error("the sink holds something else: {0}")]
    Conflict(String),
}

impl SinkError {
    /// What is the matter; `None` where nothing can be tried again.
    pub fn cause(&self) -> Option<Cause> {
        match self {
            Self::Unavailable(_) => Some(Cause::Unreachable),
            Self::Refused(_) => Some(Cause::Refused),
            Self::Troubled { cause, .. } => Some(*cause),
            Self::Conflict(_) => None,
        }
    }
}

/// A warehouse.
///
/// `insert` is all or nothing and knows a repetition of the same [`BatchId`], at least as long as `trusts_token_ms` says.
pub trait Sink: Send + Sync {
    /// Rows in the sink's own encoding.
    type Rows: Send;

    /// An empty set of rows of this record.
    fn begin(&self, schema: &'static RecordSchema) -> Self::Rows;

    /// The same for rows of this topic. A sink that labels each row with its topic does it here.
    fn begin_of(&self, schema: &'static RecordSchema, _topic_id: &str) -> Self::Rows {
        self.begin(schema)
    }

    /// Adds a row.
    fn add(&self, rows: &mut Self::Rows, row: &Row<'_>) -> Result<(), SinkError>;

    /// Bytes that the rows take in memory, about.
    fn size_bytes(&self, rows: &Self::Rows) -> usize;

    /// Inserts the batch, all or nothing. A repetition changes nothing and succeeds.
    fn insert(&self, batch: &BatchId, rows: &mut Self::Rows) -> Result<(), SinkError>;

    /// Looks into the table for the batch, for a time when the sink's memory of tokens is not to be trusted any more. Where it
    /// finds everything it also completes what derives from the rows.
    fn holds(&self, batch: &BatchId) -> Result<Holding, SinkError>;

    /// How long after its intent an insert may start and still be recognised as a repetition, in milliseconds: half the sink's
    /// memory of tokens.
    fn trusts_token_ms(&self) -> i64;

    /// Called now and then while there is nothing to deliver; does a bounded piece of housekeeping. Its errors are logged.
    fn idle(&self) -> Result<(), SinkError> {
        Ok(())
    }
}

impl<S: Sink + ?Sized> Sink for std::sync::Arc<S> {
    type Rows = S::Rows;

    fn begin(&self, schema: &'static RecordSchema) -> Self::Rows {
        (**self).begin(schema)
    }

    fn begin_of(&self, schema: &'static RecordSchema, topic_id: &str) -> Self::Rows {
        (**self).begin_of(schema, topic_id)
    }

    fn add(&self, rows: &mut Self::Rows, row: &Row<'_>) -> Result<(), SinkError> {
        (**self).add(rows, row)
    }

    fn size_bytes(&self, rows: &Self::Rows) -> usize {
        (**self).size_bytes(rows)
    }

    fn insert(&self, batch: &BatchId, rows: &mut Self::Rows) -> Result<(), SinkError> {
        (**self).insert(batch, rows)
    }

    fn holds(&self, batch: &BatchId) -> Result<Holding, SinkError> {
        (**self).holds(batch)
    }

    fn trusts_token_ms(&self) -> i64 {
        (**self).trusts_token_ms()
    }

    fn idle(&self) -> Result<(), SinkError> {
        (**self).idle()
    }
}
