//! Raw bytes to events: parse, validate, de-duplicate, classify, identify, re-key.
//!
//! [`IngestFactory`] makes one [`IngestStage`] for each partition of `events.collected`. A stage is pure: its outputs depend on the
//! records it was given, in their order, and on nothing else. One record goes this way:
//!
//! 1. [`stage`] takes the frame apart: an event, a tick of time, or a setting of a site ([`millstream_operators::site`]).
//! 2. The payload is parsed and validated; what is wrong goes to `events.rejected` with its reason and its bytes (`reject`).
//! 3. [`classify`] tells channel, device and bots; a bot that says so is dropped.
//! 4. [`clock`] corrects the time and decides, once and for all, whether the event is too late.
//! 5. [`dedup`] drops what was seen within the horizon.
//! 6. [`consent`] decides what the event may be used for, and whether it is kept at all.
//! 7. [`identity`] decides whose it is; `emit` writes it to its person's partition, with the markers and entries that go along.
//! 8. [`watermark`] announces how far time has come.
//!
//! An event that was accepted before, and comes back from the warehouse after the log has lost it, goes a shorter way (`restore`).
//!
//! Every record has one of the [`fates`]: none vanishes. What a snapshot keeps of the stage stands in `snapshot`.

mod accept;
mod breaker;
pub mod classify;
pub mod clock;
mod closed;
pub mod config;
pub mod consent;
mod decode;
pub mod dedup;
mod emit;
mod factory;
pub mod fates;
pub mod identity;
mod missing_id;
pub mod money;
mod page;
mod reject;
mod restore;
mod snapshot;
pub mod stage;
pub mod watermark;

pub use breaker::BreakerConfig;
pub use config::{IngestConfig, IngestTopics};
pub use factory::{IngestFactory, OUT_COLLECTED, OUT_EVENTS, OUT_IDENTITY, OUT_REJECTED};
pub use fates::{Fate, FateTotals, Fates};
pub use stage::IngestStage;
