//! Whether a namespace was handed over, by which record.

use millstream_schemas::SchemaIds;
use millstream_schemas::closing::{Closing, NAMESPACE_CLOSED_KIND};
use millstream_transports::{Transport, Walk};

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
        if let Some(said) = said(record.value, ids) {
            closed_by = said;
        }
        Ok(Next::On)
    })?;
    Ok(closed_by)
}

/// What a record says of it: nothing, that the namespace is open (again), or closed. What cannot be read closes nothing, as in the first
/// stage.
fn said(value: &[u8], ids: &SchemaIds) -> Option<Option<ClosedBy>> {
    control_in(value, ids, |control| {
        let closing = (control.kind == NAMESPACE_CLOSED_KIND).then(|| Closing::parse(control.body).ok()).flatten()?;
        Some(closing.successor.map(|successor| ClosedBy { number: control.number, successor }))
    })
    .flatten()
}

/// Follows what is said of a namespace while others may say it.
pub struct ClosingWatch {
    topic: String,
    ids: SchemaIds,
    walk: Option<Walk>,
}

impl ClosingWatch {
    /// Nothing read so far of `topic`, where control records stand once.
    pub fn new(topic: String, ids: SchemaIds) -> Self {
        Self { topic, ids, walk: None }
    }

    /// The namespace that has taken over, where something was said since the last look. A log that cannot be read says nothing, and is
    /// read from its beginning again.
    pub fn look(&mut self, transport: &dyn Transport) -> Option<Option<String>> {
        let looked = self.read_on(transport);
        if looked.is_err() {
            self.walk = None;
        }
        looked.ok().flatten()
    }

    fn read_on(&mut self, transport: &dyn Transport) -> millstream_transports::Result<Option<Option<String>>> {
        let walk = match &mut self.walk {
            Some(walk) => walk,
            none => none.insert(Walk::open(transport, &self.topic, 0)?),
        };
        let mut last = None;
        while let Some(record) = walk.peek()? {
            if let Some(said) = said(record.value, &self.ids) {
                last = Some(said.map(|closed_by| closed_by.successor));
            }
            walk.take();
        }
        Ok(last)
    }
}

impl std::fmt::Debug for ClosingWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClosingWatch").field("topic", &self.topic).finish_non_exhaustive()
    }
}

/// The same for one that may be handed over to `to` alone.
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
