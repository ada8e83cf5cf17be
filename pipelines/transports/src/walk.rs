//! One partition read outside any group, record by record, up to where it ends now: what commands and comparisons do.

use std::time::Duration;

use crate::{Batch, Reader, RecordRef, Result, Transport, TransportError};

/// How long one look waits for more.
const LOOK: Duration = Duration::from_millis(200);
/// Looks without a record, with more announced, after which the log is taken for unreachable.
const LOOKS: usize = 150;

/// A partition that is read record by record.
pub struct Walk {
    reader: Box<dyn Reader>,
    batch: Batch,
    next: usize,
    what: String,
}

impl Walk {
    /// From the first record that is left.
    ///
    /// # Errors
    /// Where the log cannot be read, as for all of its functions.
    pub fn open(transport: &dyn Transport, topic: &str, partition: u32) -> Result<Self> {
        Self::from(transport, topic, partition, 0)
    }

    /// From `offset` on.
    ///
    /// # Errors
    /// Also where the log no longer reaches back to `offset`.
    pub fn from(transport: &dyn Transport, topic: &str, partition: u32, offset: u64) -> Result<Self> {
        let reader = transport.reader(topic, partition, offset)?;
        Ok(Self { reader, batch: Batch::new(), next: 0, what: format!("{topic}[{partition}]") })
    }

    /// The record that comes next, which stays the next; `None` at what is the end now. What is appended later is found by a later
    /// call.
    ///
    /// # Errors
    /// Also where records are announced and do not come for half a minute.
    pub fn peek(&mut self) -> Result<Option<RecordRef<'_>>> {
        let mut looks = 0;
        while self.next >= self.batch.len() {
            let ended = self.reader.at_end()?;
            self.reader.poll(if ended { Duration::ZERO } else { LOOK }, &mut self.batch)?;
            self.next = 0;
            if self.batch.is_empty() {
                if ended {
                    return Ok(None);
                }
                looks += 1;
                if looks > LOOKS {
                    let what = &self.what;
                    return Err(TransportError::Unavailable(format!("{what}: records were announced and do not come")));
                }
            }
        }
        Ok(self.batch.get(self.next))
    }

    /// Takes the record that was looked at.
    pub fn take(&mut self) {
        self.next += 1;
    }

    /// Hands over every record below offset `below` that is there now, while `goes_on` says so. False where it said to stop.
    ///
    /// # Errors
    /// As [`Walk::peek`].
    pub fn each(&mut self, below: u64, mut goes_on: impl FnMut(RecordRef<'_>) -> bool) -> Result<bool> {
        while let Some(record) = self.peek()? {
            if record.offset >= below {
                break;
            }
            let is_stopped = !goes_on(record);
            self.take();
            if is_stopped {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl std::fmt::Debug for Walk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walk").field("what", &self.what).finish_non_exhaustive()
    }
}
