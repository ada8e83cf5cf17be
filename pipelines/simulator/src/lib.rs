//! A seeded shop with known ground truth.
//!
//! [`Simulator`] plays a shop's visitors day by day and gives their events in the order in which they reach the collector, with what
//! real traffic has: several devices a person, logins, consent refused, robots, wrong clocks, events out of order and late,
//! duplicates and bad input. Because the shop is invented, what nobody knows of a real one is known here ([`GroundTruth`]): how
//! likely each session was to buy, and how much of each order each channel really caused.
//!
//! Pure and lazy: no clock, no I/O, no floating point. The same [`SimConfig`] gives the same bytes on every machine, and a million
//! people need tens of megabytes.
//!
//! None of its numbers were measured in a real shop: models trained on it show that the machinery works, not how well it predicts.

mod catalogue;
mod channel;
mod config;
mod content;
mod delivery;
mod json;
mod noise;
mod output;
mod person;
mod random;
mod schedule;
mod session;
mod simulator;
mod truth;

pub use channel::Channel;
pub use config::{ConfigError, SimConfig, TRAINING_SEEDS};
pub use delivery::Delivery;
pub use output::{Request, RequestWriter, write_requests};
pub use simulator::Simulator;
pub use truth::{GroundTruth, OrderTruth, SessionTruth, Totals};
