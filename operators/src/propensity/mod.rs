//! How likely a session is to end in a purchase.
//!
//! Scored anew on each *informative* event ([`EventKind::is_informative`](crate::core::EventKind::is_informative)), on the
//! informative events alone: pings and clicks neither cause a score nor change one, so that however the input was interleaved the
//! last score of a session is the same. In a tracker session they retract what an earlier session of the same id was scored, until
//! something is scored anew. Needs the purpose *personalization* on every event it uses.
//!
//! State, events and merging: [`state`]. Records: [`outputs`]. It needs no timer.

pub mod outputs;
pub mod state;

#[cfg(test)]
mod tests;

pub use outputs::{emit, retract_blank};
pub use state::{Activity, reaches};
