//! From an asynchronous request to the log's acknowledgement.

use std::time::Duration;

use millstream_schemas::input::Reason;
use millstream_transports::{Append, Appender, TransportError};
use tokio::sync::oneshot;

use crate::answer::Refused;

/// One record, owned until the log has copied it.
pub(crate) struct Pending {
    pub partition: u32,
    pub timestamp_ms: i64,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
}

/// Appends the records as one unit and waits until the log has them.
pub(crate) async fn append(log: &dyn Appender, records: &[Pending], timeout: Duration) -> Result<(), Refused> {
    if records.is_empty() {
        return Ok(());
    }
    let (sender, receiver) = oneshot::channel();
    let appends: Vec<Append<'_>> = records
        .iter()
        .map(|record| Append {
            topic: 0,
            partition: record.partition,
            timestamp_ms: record.timestamp_ms,
            key: &record.key,
            value: &record.value,
        })
        .collect();
    let done = Box::new(move |result| {
        // The client may have gone; the records stay, and its retry is recognised by event id.
        let _ = sender.send(result);
    });
    log.append(&appends, done).map_err(refused)?;
    match tokio::time::timeout(timeout, receiver).await {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(error))) => Err(refused(error)),
        Ok(Err(_)) => {
            Err(Refused::new(Reason::Unavailable, "the log ended before it confirmed; send again with the same ids"))
        }
        Err(_) => {
            Err(Refused::new(Reason::Unavailable, "the log did not confirm in time; send again with the same ids"))
        }
    }
}

fn refused(error: TransportError) -> Refused {
    match error {
        TransportError::QueueFull { .. } => Refused::overloaded(error.to_string()),
        TransportError::TooLarge { .. } => Refused::new(Reason::BodyTooLarge, error.to_string()),
        other => {
            // Said once at a higher level when it begins (`Collector::log_answered`).
            tracing::debug!(error = %other, "append failed");
            Refused::new(Reason::Unavailable, "the log cannot be written; send again with the same ids")
        }
    }
}
