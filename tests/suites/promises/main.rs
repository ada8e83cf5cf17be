//! The two promises, on the whole topology: Replay and Convergence.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod convergence;
mod once;
mod replay;
mod replay_command;
mod scenario;
