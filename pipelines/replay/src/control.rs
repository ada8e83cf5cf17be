//! Control records as a copy sees them.

use millstream_schemas::{Control, SchemaIds, frame};
use millstream_transports::Transport;

use crate::ReplayError;
use crate::reading::{Next, read};

/// The topic in which every control record stands once.
pub(crate) const CONTROL: &str = Control::TOPIC;

/// What `look` finds in a control record; `None` for any other record.
pub(crate) fn control_in<T>(value: &[u8], ids: &SchemaIds, look: impl FnOnce(&Control<'_>) -> T) -> Option<T> {
    let (id, body) = frame::split(value).ok()?;
    (ids.from_wire(id) == Control::ID).then(|| Control::decode(body).ok().map(|control| look(&control))).flatten()
}

/// The number of a namespace's last control record; the least there is where it has none.
pub(crate) fn last_number(transport: &dyn Transport, ids: &SchemaIds, namespace: &str) -> Result<i64, ReplayError> {
    let mut last = i64::MIN;
    read(transport, &format!("{namespace}{CONTROL}"), 0, 0, u64::MAX, |record| {
        last = control_in(record.value, ids, |control| control.number).map_or(last, |number| last.max(number));
        Ok(Next::On)
    })?;
    Ok(last)
}
