//! Shared helpers of the end-to-end suites.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "only tests link this"
)]

pub mod binary;
pub mod crash;
pub mod service;
pub mod skip;
pub mod topology;
pub mod views;
