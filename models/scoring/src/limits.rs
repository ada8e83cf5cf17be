//! Bounds of what is loaded: a document from outside may claim anything.

/// Bytes of a model document, XGBoost's or ours.
pub const DOCUMENT_BYTES: usize = 64 << 20;
/// Features of a forest. They must stay below the bit that marks a node's default side.
pub const FEATURES: usize = 4_096;
/// Trees of a forest.
pub const TREES: usize = 10_000;
/// Nodes of one tree: children are named by 16 bits.
pub const NODES_PER_TREE: usize = u16::MAX as usize;
/// Nodes of a forest.
pub const NODES: usize = 4_000_000;
/// Knots of a calibration.
pub const KNOTS: usize = 1_024;
/// Characters of a name or version, which every score carries.
pub const NAME_CHARS: usize = 64;
