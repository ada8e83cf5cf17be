//! A partition read record by record, by those whose own work can fail.

use millstream_transports::{RecordRef, Transport, Walk};

use crate::ReplayError;

/// What the caller says of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Go on.
    On,
    /// That is enough.
    Stop,
}

/// Hands over the records of a partition from `from` on, below `below`. Returns whether the caller stopped it.
pub(crate) fn read(
    transport: &dyn Transport,
    topic: &str,
    partition: u32,
    from: u64,
    below: u64,
    mut each: impl FnMut(RecordRef<'_>) -> Result<Next, ReplayError>,
) -> Result<bool, ReplayError> {
    let mut failed = None;
    let is_whole = Walk::from(transport, topic, partition, from)?.each(below, |record| match each(record) {
        Ok(next) => next == Next::On,
        Err(error) => {
            failed = Some(error);
            false
        }
    })?;
    failed.map_or(Ok(!is_whole), Err)
}
