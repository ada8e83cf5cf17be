//! What is left of sessions that nothing can amend any more.
//!
//! Sessions are freed; a profile, and the history that later sessions are scored with, still want to know of them. So each source
//! keeps one fixed-size summary, into which a session is folded when it is freed. Adding and merging commute, and the sessions that
//! are still held can be added the same way: what is read from folded and held sessions together is the same whenever the folding
//! happened, and whichever side of a hand-over it happened on.
//!
//! A source's summary is kept until nothing was seen of it for [`VISITS_RETENTION_MS`](crate::core::limits::VISITS_RETENTION_MS);
//! then it begins anew.

pub mod codec;
pub mod codes;
pub mod state;

#[cfg(test)]
mod tests;

pub use state::Visits;
