//! What the demo is made of: simulated time, traffic through the real collector, and a summary.

pub mod attribution;
pub mod clock;
pub mod folder;
pub mod latency;
pub mod page;
pub mod quality;
pub mod summary;
pub mod traffic;
pub mod visitors;
