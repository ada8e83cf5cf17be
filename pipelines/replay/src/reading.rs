//! A partition read record by record, up to where it ends now.

use std::time::Duration;

use millstream_transports::{Batch, Reader, RecordRef, Result, Transport, TransportError};

/// How long one look waits for more.
const LOOK: Duration = Duration::from_millis(200);
/// Looks without a record, with more announced, after which the log is taken for unreachable.
const LOOKS: usize = 150;

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
    mut each: impl FnMut(RecordRef<'_>) -> std::result::Result<Next, crate::ReplayError>,
) -> std::result::Result<bool, crate::ReplayError> {
    let mut reader = transport.reader(topic, partition, from)?;
    let mut batch = Batch::new();
    let mut looks = 0;
    loop {
        let ended = poll(reader.as_mut(), &mut batch)?;
        for record in batch.iter() {
            if record.offset >= below {
                return Ok(false);
            }
            if each(record)? == Next::Stop {
                return Ok(true);
            }
        }
        if !batch.is_empty() {
            looks = 0;
        } else if ended {
            return Ok(false);
        } else {
            looks += 1;
            if looks > LOOKS {
                let why = format!("{topic}[{partition}]: records were announced and do not come");
                return Err(TransportError::Unavailable(why).into());
            }
        }
    }
}

fn poll(reader: &mut dyn Reader, batch: &mut Batch) -> Result<bool> {
    let ended = reader.at_end()?;
    reader.poll(if ended { Duration::ZERO } else { LOOK }, batch)?;
    Ok(ended)
}
