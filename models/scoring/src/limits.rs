//! Bounds of what is loaded: a document from outside may claim anything.

/// Bytes of a model document, XGBoost's or ours.
pub const DOCUMENT_BYTES: usize = 64 << 20;
/// Features of a forest: they are named by 12 bits.
pub const FEATURES: usize = 4_096;
/// Trees of a forest.
pub const TREES: usize = 10_000;
/// Nodes of one tree.
pub const NODES_PER_TREE: usize = 65_535;
/// Nodes of a forest: children are named by 19 bits.
pub const NODES: usize = 1 << 19;
/// Knots of a calibration.
pub const KNOTS: usize = 1_024;
/// Characters of a name or version, which every score carries.
pub const NAME_CHARS: usize = 64;
