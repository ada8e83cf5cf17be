//! How far a copy has come, told by what was copied: the target's records are the source's, in their order, or they are not a copy.

use millstream_schemas::closing::Closing;
use millstream_schemas::{Collected, Event, SchemaIds, Tick, frame};
use millstream_transports::{RecordRef, Transport, Walk};

use crate::ReplayError;
use crate::closing::said;
use crate::control::control_in;
use crate::reading::{Next, read};

/// What becomes of a record of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is copied.
    Copied,
    /// It had no effect, or is about the source alone.
    Skipped,
    /// It hands the namespace over: neither it nor anything behind it is copied.
    End,
}

/// One partition of the source, and where it is read on.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The next offset; that of the record that hands the namespace over once that is reached.
    pub next: u64,
    /// Number of the last control record copied from here.
    pub number: i64,
    /// Whether it stands at the record that hands the namespace over.
    pub has_ended: bool,
    /// Records of the copy.
    pub copied: u64,
    /// Where the copy goes on with records that are no copies: stragglers, and what the other namespace has collected itself.
    pub copy_ends: Option<u64>,
    /// Between a closing and its reopening nothing was accepted.
    is_closed: bool,
}

impl Source {
    fn new() -> Self {
        Self { next: 0, number: i64::MIN, has_ended: false, copied: 0, copy_ends: None, is_closed: false }
    }

    /// Moves past a record, and says what becomes of it. `reopened`: the number of the last control record that has opened the namespace
    /// again. A closing behind that one is in force, whether or not anybody has been told of it.
    pub fn take(&mut self, record: &RecordRef<'_>, ids: &SchemaIds, reopened: i64) -> Taken {
        match said(record.value, ids) {
            Some((number, Closing { successor: Some(_) })) if number > reopened => {
                self.next = record.offset;
                self.has_ended = true;
                return Taken::End;
            }
            Some((_, closing)) => {
                self.next = record.offset + 1;
                self.is_closed = closing.successor.is_some();
                return Taken::Skipped;
            }
            None => self.next = record.offset + 1,
        }
        if let Some(number) = control_in(record.value, ids, |control| control.number) {
            self.number = number;
        } else if self.is_closed && is_input(record.value, ids) {
            return Taken::Skipped;
        }
        self.copied += 1;
        Taken::Copied
    }
}

/// Whether it is what a closed namespace does not accept: an event, or that time passes.
fn is_input(value: &[u8], ids: &SchemaIds) -> bool {
    frame::split(value).is_ok_and(|(id, _)| matches!(ids.from_wire(id), Collected::ID | Event::ID | Tick::ID))
}

/// Where one partition's copy goes on.
pub(crate) fn resume(
    transport: &dyn Transport,
    ids: &SchemaIds,
    (from, to): (&str, &str),
    partition: u32,
    reopened: i64,
) -> Result<Source, ReplayError> {
    let mut source = Source::new();
    let mut walk = Walk::open(transport, from, partition)?;
    read(transport, to, partition, 0, u64::MAX, |copy| {
        let is_copy = loop {
            let Some(record) = walk.peek()? else { break false };
            let taken = source.take(&record, ids, reopened);
            let is_equal = (record.timestamp_ms, record.key, record.value) == (copy.timestamp_ms, copy.key, copy.value);
            walk.take();
            match taken {
                Taken::Skipped => {}
                Taken::Copied => break is_equal,
                Taken::End => {
                    source.copy_ends = Some(copy.offset);
                    return Ok(Next::Stop);
                }
            }
        };
        if is_copy {
            return Ok(Next::On);
        }
        Err(ReplayError::NotACopy { topic: to.to_owned(), partition, offset: copy.offset })
    })?;
    Ok(source)
}
