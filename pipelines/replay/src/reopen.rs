//! What a namespace refused while it was closed, taken in once it is open again.

use std::collections::{BTreeMap, BTreeSet};

use millstream_schemas::{Collected, SchemaIds};
use millstream_transports::Transport;

use crate::ReplayError;
use crate::closing::said;
use crate::copy::commit;
use crate::reading::{Next, read};
use crate::stragglers::{Content, Stragglers, Stretch, append, content};

/// Appends the events that came between a closing and its reopening once more, behind it: the acknowledged ones of collectors that had not
/// noticed. Called again, it appends none twice. Those that `is_too_old` says are left alone.
///
/// # Errors
/// Where the log fails.
pub fn take_in(
    transport: &dyn Transport,
    ids: &SchemaIds,
    namespace: &str,
    is_too_old: &dyn Fn(&Collected<'_>) -> bool,
) -> Result<Stragglers, ReplayError> {
    let topic = format!("{namespace}{}", Collected::TOPIC);
    let mut input = transport.transactions(&format!("{namespace}reopen"), vec![topic.clone()])?;
    let mut stragglers = Stragglers::default();
    for partition in 0..transport.partition_count(&topic)? {
        let from = transport.earliest(&topic, partition)?;
        let stretch = Stretch { topic: &topic, partition, from };
        let refused = refused(transport, ids, stretch)?;
        stragglers += append(transport, stretch, &refused, is_too_old, input.as_mut())?;
        commit(input.as_mut(), &topic)?;
    }
    Ok(stragglers)
}

/// The offsets of events that were refused while the namespace was closed and did not come again once it was open.
fn refused(transport: &dyn Transport, ids: &SchemaIds, stretch: Stretch<'_>) -> Result<BTreeSet<u64>, ReplayError> {
    let mut refused: BTreeMap<Content, Vec<u64>> = BTreeMap::new();
    let mut is_closed = false;
    read(transport, stretch.topic, stretch.partition, stretch.from, u64::MAX, |record| {
        if let Some((_, closing)) = said(record.value, ids) {
            is_closed = closing.successor.is_some();
        } else if let Some(content) = content(&record, ids) {
            if is_closed {
                refused.entry(content).or_default().push(record.offset);
            } else if let Some(same) = refused.get_mut(&content) {
                same.pop();
            }
        }
        Ok(Next::On)
    })?;
    Ok(refused.into_values().flatten().collect())
}
