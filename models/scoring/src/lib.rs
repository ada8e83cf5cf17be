//! The scoring interface and the models behind it: pure, so that operators use it.
//!
//! A [`Scorer`] turns [`Features`] into a [`Score`]. Operators know only this interface; whether the labelled [`Heuristic`] or a
//! trained [`Model`] answers is said by the log. Only additions, multiplications, divisions and comparisons are used, and the
//! exponential of `libm`, which is the same code everywhere, so that a score is the same bits on every machine.
//!
//! A model is loaded from an [`artefact`]: one JSON document with a [`forest`] and its [`calibration`] for each question. Forests come
//! from [`xgboost`]'s JSON. What loads is bounded by [`limits`].

pub mod artefact;
pub mod btyd;
pub mod builtin;
pub mod calibration;
pub mod evaluation;
pub mod features;
pub mod forest;
pub mod heuristic;
pub mod limits;
pub mod model;
pub mod scorer;
pub mod xgboost;

pub use artefact::{Artefact, ArtefactError, content_hash};
pub use features::{FEATURE_COUNT, FEATURES, Feature, FeatureSpec, Features, SCHEMA_HASH};
pub use heuristic::Heuristic;
pub use model::Model;
pub use scorer::{Probability, Reasons, Role, Score, Scorer};
