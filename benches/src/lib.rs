//! What the benchmarks of the whole system share: the system under test, and tracker batches to send to it.

#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark prints, and has nobody to report an error to"
)]

pub mod system;
pub mod traffic;
