//! One partition read from its beginning.

use std::time::Duration;

use millstream_transports::{Batch, Reader, RecordRef, Result, Transport, TransportError};

/// How long one look waits for more.
const LOOK: Duration = Duration::from_millis(200);
/// Looks without a record, with more announced, after which the log is taken for unreachable.
const LOOKS: usize = 150;

/// A partition that is read record by record.
pub(crate) struct Walk {
    reader: Box<dyn Reader>,
    batch: Batch,
    next: usize,
    what: String,
}

impl Walk {
    /// From the first record that is left.
    pub fn open(transport: &dyn Transport, topic: &str, partition: u32) -> Result<Self> {
        Self::from(transport, topic, partition, 0)
    }

    /// From `offset` on.
    pub fn from(transport: &dyn Transport, topic: &str, partition: u32, offset: u64) -> Result<Self> {
        let reader = transport.reader(topic, partition, offset)?;
        Ok(Self { reader, batch: Batch::new(), next: 0, what: format!("{topic}[{partition}]") })
    }

    /// The record that comes next, which stays the next; `None` at what is the end now. What is appended later is found by a later
    /// call.
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

    /// Hands over every record below offset `below`. `each` says whether to go on.
    pub fn each(&mut self, below: u64, mut each: impl FnMut(RecordRef<'_>) -> bool) -> Result<()> {
        while let Some(record) = self.peek()? {
            if record.offset >= below {
                return Ok(());
            }
            let goes_on = each(record);
            self.take();
            if !goes_on {
                return Ok(());
            }
        }
        Ok(())
    }
}
