//! How likely a session is to end in a (further) purchase, and a person to buy within seven days.
//!
//! Scored anew on each *informative* event ([`EventKind::is_informative`](crate::core::EventKind::is_informative)), on the
//! informative events alone: pings and clicks neither cause a score nor change one, so that however the input was interleaved the
//! last score of a session is the same. In a tracker session they retract what an earlier session of the same id was scored, until
//! something is scored anew. Needs the purpose *personalization* on every event it uses.
//!
//! What was before the session is its [`History`]: earlier sessions of the same source, by their own activity. It is unknown where
//! nobody keeps it, which models know as a case of its own.
//!
//! State, events and merging: [`state`], with what channels and devices count as in [`classes`]. Before the session: [`history`].
//! Encoding: [`codec`]. Records: [`outputs`]. It needs no timer.

pub mod classes;
pub mod codec;
pub mod history;
pub mod outputs;
pub mod state;

#[cfg(test)]
mod tests;

pub use history::History;
pub use outputs::{emit, retract_blank};
pub use state::{Activity, reaches};
