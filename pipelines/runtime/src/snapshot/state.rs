//! What a stage does so that snapshots can be taken of it: tell what has changed, and take it in again.

use std::collections::BTreeMap;

use super::entries::Entries;

/// Why an entry of a snapshot cannot be taken in. The snapshot is then given up for an older one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("section {section}, key {key:032x}: {detail}")]
pub struct RestoreError {
    /// The section.
    pub section: u8,
    /// The key.
    pub key: u128,
    /// What is wrong with its value.
    pub detail: String,
}

/// A stage's state as keyed entries in numbered sections, of which those that changed can be written bit by bit while records go on
/// being processed.
///
/// The state that a snapshot holds is that of the last [`SnapshotState::begin`]. An entry that changes before it was written is
/// written as it was: the first entry of a (section, key) in a snapshot is the one that holds, whatever comes after it.
///
/// All methods are called between epochs, when nothing is open that could be undone.
pub trait SnapshotState {
    /// From now on what changes is noted. Called once, before the first record and before [`SnapshotState::restore`].
    fn track(&mut self);

    /// The state as it is now is what the snapshot holds: everything, or what has changed since the last one that was kept.
    fn begin(&mut self);

    /// Writes more of it until `out` is full. Section [`SMALL`](super::entries::SMALL) is written whole in every snapshot. True when that was all; then [`SnapshotState::end`] follows when the snapshot is durable
    /// or has failed, perhaps many epochs later.
    fn write(&mut self, out: &mut Entries) -> bool;

    /// The snapshot is durable (`kept`), or what it was to hold belongs to the next one.
    fn end(&mut self, kept: bool);

    /// Takes an entry in, unless there is one with its key already: of several the first holds. Section 0 comes first.
    ///
    /// # Errors
    /// Where the value is not what [`SnapshotState::write`] writes, in this or an older format.
    fn restore(&mut self, section: u8, key: u128, value: &[u8]) -> Result<(), RestoreError>;

    /// All entries were taken in: checks them against each other and makes what follows from them (timers, totals).
    ///
    /// # Errors
    /// Where they contradict each other.
    fn restored(&mut self) -> Result<(), RestoreError>;

    /// What the manifest says about the state for people, for example the watermark and the models in use.
    fn about(&self) -> BTreeMap<String, String>;
}
