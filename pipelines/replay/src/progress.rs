//! How far a copy has come, told by what was copied: the target's records are the source's, in their order, or they are not a copy.

use millstream_schemas::closing::{Closing, NAMESPACE_CLOSED_KIND};
use millstream_schemas::{Collected, SchemaIds, Tick, frame};
use millstream_transports::{RecordRef, Transport, Walk};

use crate::ReplayError;
use crate::control::control_in;
use crate::reading::{Next, read};

/// What becomes of a record of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is copied.
    Copied,
    /// It had no effect, or is about the source alone.
    Skipped,
    /// It hands the namespace over: nothing behind it is copied.
    End,
}

/// One partition of the source, and where it is read on.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The next offset.
    pub next: u64,
    /// Number of the last control record copied from here.
    pub number: i64,
    /// Whether it stands at the record that hands the namespace over.
    pub has_ended: bool,
    /// Between a closing and its reopening nothing was accepted.
    is_closed: bool,
}

impl Source {
    fn new() -> Self {
        Self { next: 0, number: i64::MIN, has_ended: false, is_closed: false }
    }

    /// Moves past a record, and says what becomes of it. `closing`: the number of the control record that hands the namespace over.
    pub fn take(&mut self, record: &RecordRef<'_>, ids: &SchemaIds, closing: Option<i64>) -> Taken {
        let closes = control_in(record.value, ids, |control| {
            let is_closing = control.kind == NAMESPACE_CLOSED_KIND;
            (control.number, is_closing.then(|| Closing::parse(control.body).is_ok_and(|it| it.successor.is_some())))
        });
        self.next = record.offset + 1;
        match closes {
            Some((number, Some(_))) if Some(number) == closing => {
                self.has_ended = true;
                Taken::End
            }
            Some((_, Some(is_closed))) => {
                self.is_closed = is_closed;
                Taken::Skipped
            }
            Some((number, None)) => {
                self.number = number;
                Taken::Copied
            }
            None if self.is_closed && is_input(record.value, ids) => Taken::Skipped,
            None => Taken::Copied,
        }
    }
}

/// Whether it is what a closed namespace does not accept: an event, or that time passes.
fn is_input(value: &[u8], ids: &SchemaIds) -> bool {
    frame::split(value).is_ok_and(|(id, _)| matches!(ids.from_wire(id), Collected::ID | Tick::ID))
}

/// Where one partition's copy goes on, and how many records were copied before.
pub(crate) fn resume(
    transport: &dyn Transport,
    ids: &SchemaIds,
    (from, to): (&str, &str),
    partition: u32,
    closing: Option<i64>,
) -> Result<(Source, u64), ReplayError> {
    let (mut source, mut copied) = (Source::new(), 0);
    let mut walk = Walk::open(transport, from, partition)?;
    read(transport, to, partition, 0, u64::MAX, |copy| {
        let is_copy = loop {
            let Some(record) = walk.peek()? else { break false };
            let taken = source.take(&record, ids, closing);
            let is_equal = (record.timestamp_ms, record.key, record.value) == (copy.timestamp_ms, copy.key, copy.value);
            walk.take();
            match taken {
                Taken::Skipped => {}
                Taken::Copied => break is_equal,
                // What comes behind it in the copy are stragglers, and what the other namespace has collected itself.
                Taken::End => return Ok(Next::Stop),
            }
        };
        if !is_copy {
            return Err(ReplayError::NotACopy { topic: to.to_owned(), partition, offset: copy.offset });
        }
        copied += 1;
        Ok(Next::On)
    })?;
    Ok((source, copied))
}
