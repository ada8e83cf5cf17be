//! Current views of a log, as the simulation computes them too.

use std::collections::BTreeMap;

use millstream_simulation::views;
use millstream_transports::memory::MemoryLog;

pub use millstream_simulation::views::{Row, View, comparable};

use crate::topology::read;

/// The current view of every record kind that has a table.
///
/// # Panics
/// Where a record cannot be read, or a key has two records of one revision.
pub fn current_views(log: &MemoryLog, partitions: u32) -> BTreeMap<&'static str, View> {
    views::current_views(|topic| (0..partitions).flat_map(|partition| read(log, topic, partition)).collect()).unwrap()
}
