//! The files that hold entries.

/// What an entry takes beside its value: section, key, length.
pub const ENTRY_BYTES: usize = 21;
