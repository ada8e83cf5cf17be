//! One person, one place: the state that all per-person operators share, and the way of a source from person to person.
//!
//! A person holds one sub-state per *source* and never mixes them: what the person is, is combined when it is read. So a merge adds
//! a source, an un-merge removes one, and "merged, then un-merged" equals "never merged".
//!
//! When a source's person changes, ingest writes one marker (`source_moved`) into the old person's partition and into the new one's
//! (once, where that is the same). The old side ends the source there: it appends the source's state as `hand_over` to the new
//! person's partition and says whose the source's orders are now. The new side holds the source's events from the marker on until
//! the hand-over comes, then joins both and plays the held ones in. A marker for a source that is itself waiting waits with it, so
//! that chains (A → B → C, or back again) need no case of their own. One way for all: also within a partition it goes through the
//! log.
//!
//! What only customers have (orders, refunds, what was last told of churn and value) is kept apart ([`trade`]), so that an ordinary event
//! neither touches nor copies it. Orders' partitions tell of it ([`on_fact`]).
//!
//! State: [`state`]. Events: [`on_event`]. Markers and hand-overs: [`on_moved`], with the encoding in [`codec`]. Timers:
//! [`on_timer`]. Snapshots: [`snapshot`]. Combination and records: those of the operators inside.

pub mod codec;
pub mod on_event;
pub mod on_fact;
pub mod on_moved;
pub mod on_timer;
pub mod people;
pub mod saved;
pub mod snapshot;
pub mod state;
pub mod trade;
pub mod warm;

#[cfg(test)]
mod codec_tests;
#[cfg(test)]
mod fact_tests;
#[cfg(test)]
mod tests;

pub use on_event::Incoming;
pub use people::{Env, MemoryUse, People};
pub use state::{Held, HeldKind, Hold, Person, Purchase, Source, SourceRules};
pub use trade::Trade;
