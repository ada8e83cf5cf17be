//! How far an import has come, as the log says.

use std::time::Duration;

use millstream_schemas::{Id, ImportProgress, frame};
use millstream_transports::{Batch, Transport, partition_for};

use crate::error::ImportError;
use crate::options::ImportOptions;

/// The newest progress of a data set in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavedProgress {
    /// Of mapping, site and files.
    pub fingerprint: Id,
    /// Events appended, in sorted order.
    pub events_done: u64,
    /// Rejected rows appended, in order of file and line.
    pub rejected_done: u64,
    /// Whether all is in.
    pub finished: bool,
}

const POLL: Duration = Duration::from_millis(100);

/// The partition of the imports topic that holds a data set's progress.
pub(crate) fn partition(data_set: &str, partitions: u32) -> u32 {
    partition_for(data_set.as_bytes(), partitions)
}

/// Reads the newest committed progress of a data set; `None` where it was never begun.
pub fn saved_progress(
    transport: &dyn Transport,
    data_set: &str,
    options: &ImportOptions,
) -> Result<Option<SavedProgress>, ImportError> {
    let topic = &options.topics.imports;
    let partition = partition(data_set, transport.partition_count(topic)?);
    let mut reader = transport.reader(topic, partition, 0)?;
    let mut batch = Batch::new();
    let mut newest = None;
    loop {
        // Asked before the poll: what was committed by now is then delivered for sure.
        let last = reader.at_end()?;
        reader.poll(if last { Duration::ZERO } else { POLL }, &mut batch)?;
        for record in batch.iter().filter(|record| !record.value.is_empty()) {
            let bad = |detail: String| ImportError::BadProgress {
                topic: topic.clone(),
                partition,
                offset: record.offset,
                detail,
            };
            let (schema, body) = frame::split(record.value).map_err(|error| bad(error.to_string()))?;
            if options.schema_ids.from_wire(schema) != ImportProgress::ID {
                return Err(bad(format!("schema {schema} is another record's")));
            }
            let progress = ImportProgress::decode(body).map_err(|error| bad(error.to_string()))?;
            if progress.data_set == data_set {
                let count = |number: i64| u64::try_from(number).map_err(|_| bad(format!("a count of {number}")));
                newest = Some(SavedProgress {
                    fingerprint: progress.fingerprint,
                    events_done: count(progress.groups_done)?,
                    rejected_done: count(progress.rejected)?,
                    finished: progress.finished,
                });
            }
        }
        if last && batch.is_empty() {
            return Ok(newest);
        }
    }
}
