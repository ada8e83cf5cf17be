//! Tests of the two local transports, in one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod behaviour;
mod conformance;
mod crash;
mod damage;
mod disk;
mod exactly_once;
mod held;
mod model;
mod on_the_way;
mod support;
