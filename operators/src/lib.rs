//! Pure state machines, one module a capability.
//!
//! Nothing here can reach a clock, randomness or I/O: time is event time and record time, both in the records. The same records
//! in the same order give the same bytes, live, in replay and in a test. Iteration over unordered maps is banned for the same
//! reason.

pub mod attribution;
pub mod buyer;
pub mod churn;
pub mod clv;
pub mod core;
pub mod customer;
pub mod engagement;
pub mod orders;
pub mod person;
pub mod profiles;
pub mod propensity;
pub mod sessions;
pub mod site;
pub mod visits;

#[cfg(test)]
mod testing;
