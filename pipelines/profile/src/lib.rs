//! One state per person: every per-person operator, fused into one task; and one state per order.
//!
//! [`ProfileFactory`] makes a [`ProfileStage`] for each partition of `events`. The stage decodes a record by its schema id and hands
//! it to the operators ([`millstream_operators::person`], [`millstream_operators::orders`]); what they emit, it encodes and routes
//! ([`sink`]). Which model scores, the log says ([`models`]). How far partitions are with what they
//! send to each other, they tell each other (`feedback`). What a snapshot keeps of it stands in `snapshot`. It is pure: no clock, no
//! I/O but the loading of artefacts, which are named by their content; the same records give the same bytes.

pub mod config;
pub mod factory;
mod feedback;
pub mod models;
pub mod sink;
mod snapshot;
pub mod stage;
mod warm;

#[cfg(test)]
mod tests;

pub use config::{ProfileConfig, ProfileTopics};
pub use factory::ProfileFactory;
pub use models::{ArtefactStore, MODEL_PROMOTION_KIND, MemoryArtefacts};
pub use stage::{ProfileStage, StateUse};
