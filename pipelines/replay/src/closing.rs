//! Whether a namespace was handed over, by which record.

use millstream_schemas::SchemaIds;
use millstream_schemas::closing::{Closing, NAMESPACE_CLOSED_KIND};
use millstream_transports::{Transport, TransportError, Walk};

use crate::ReplayError;
use crate::control::{CONTROL, control_in};
use crate::reading::{Next, read};

/// The control record that closes a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedBy {
    /// Its number.
    pub number: i64,
    /// The namespace that takes over.
    pub successor: String,
}

/// By which record a namespace is closed now; `None` where it is open.
///
/// # Errors
/// Where the log cannot be read.
pub fn closed_by(transport: &dyn Transport, ids: &SchemaIds, namespace: &str) -> Result<Option<ClosedBy>, ReplayError> {
    let mut closed_by = None;
    read(transport, &format!("{namespace}{CONTROL}"), 0, 0, u64::MAX, |record| {
        if let Some((number, closing)) = said(record.value, ids) {
            closed_by = closing.successor.map(|successor| ClosedBy { number, successor });
        }
        Ok(Next::On)
    })?;
    Ok(closed_by)
}

/// What a record of any topic says of it, with its number; `None` for other records, and where it cannot be read: that closes nothing in the first
/// stage either.
pub(crate) fn said(value: &[u8], ids: &SchemaIds) -> Option<(i64, Closing)> {
    control_in(value, ids, |control| {
        let closing = (control.kind == NAMESPACE_CLOSED_KIND).then(|| Closing::parse(control.body).ok()).flatten()?;
        Some((control.number, closing))
    })
    .flatten()
}

/// Follows what is said of a namespace while others may say it.
pub struct ClosingWatch {
    topic: String,
    ids: SchemaIds,
    walk: Option<Walk>,
    successor: Option<String>,
}

impl ClosingWatch {
    /// Nothing read so far of `topic`, where control records stand once.
    pub fn new(topic: String, ids: SchemaIds) -> Self {
        Self { topic, ids, walk: None, successor: None }
    }

    /// The namespace that has taken over, by what the log says now.
    ///
    /// # Errors
    /// Where it cannot be read; the next look goes on from there.
    pub fn look(&mut self, transport: &dyn Transport) -> Result<Option<&str>, TransportError> {
        self.read_on(transport)?;
        Ok(self.successor.as_deref())
    }

    fn read_on(&mut self, transport: &dyn Transport) -> Result<(), TransportError> {
        let walk = match &mut self.walk {
            Some(walk) => walk,
            none => none.insert(Walk::open(transport, &self.topic, 0)?),
        };
        while let Some(record) = walk.peek()? {
            if let Some((_, closing)) = said(record.value, &self.ids) {
                self.successor = closing.successor;
            }
            walk.take();
        }
        Ok(())
    }
}

impl std::fmt::Debug for ClosingWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClosingWatch").field("topic", &self.topic).finish_non_exhaustive()
    }
}

/// The number of the last control record that has opened a namespace again; the least there is where none has.
pub(crate) fn reopened(transport: &dyn Transport, ids: &SchemaIds, namespace: &str) -> Result<i64, ReplayError> {
    let mut reopened = i64::MIN;
    read(transport, &format!("{namespace}{CONTROL}"), 0, 0, u64::MAX, |record| {
        if let Some((number, Closing { successor: None })) = said(record.value, ids) {
            reopened = number;
        }
        Ok(Next::On)
    })?;
    Ok(reopened)
}

/// The same as [`closed_by`] for one that may be handed over to `to` alone.
pub(crate) fn closing(
    transport: &dyn Transport,
    ids: &SchemaIds,
    namespace: &str,
    to: &str,
) -> Result<Option<ClosedBy>, ReplayError> {
    let closed_by = closed_by(transport, ids, namespace)?;
    match closed_by {
        Some(other) if other.successor != to => {
            Err(ReplayError::HandedOver { namespace: namespace.to_owned(), successor: other.successor })
        }
        own => Ok(own),
    }
}
