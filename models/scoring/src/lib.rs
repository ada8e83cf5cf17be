//! The scoring interface and the models behind it: pure, so that operators use it.
//!
//! A [`Scorer`] turns [`Features`] into a [`Score`]. Operators know only this interface; whether a labelled [`Heuristic`] or a
//! trained model answers is a matter of configuration. Only additions, multiplications, divisions and comparisons are used, so
//! that a score is the same bits on every machine.

pub mod features;
pub mod heuristic;
pub mod scorer;

pub use features::{FEATURE_COUNT, FEATURES, Feature, FeatureSpec, Features, SCHEMA_HASH};
pub use heuristic::Heuristic;
pub use scorer::{Reasons, Role, Score, Scorer};
