//! How engaged a session was: a documented heuristic, labelled with its version, no model.
//!
//! A closed session has one row; one that is open, re-opened by a late event, or ceased has none, so that the current view does not
//! depend on how inputs interleaved. The score is 0 to 100 points, each part saturating so that no single habit decides:
//!
//! | part | points | half of them at |
//! |---|---|---|
//! | `engaged_time` | 40 × t / (t + 60 s), t = engaged time from pings | one minute |
//! | `depth` | 30 × funnel depth / 6 + 10 × scroll depth / 100 % | |
//! | `page_views` | 20 × n / (n + 4) | four page views |
//!
//! Computed in whole hundredths of a point, each part rounded down: exact, so that sums over sessions do not depend on their order.
//! Needs the purpose *analytics*, as sessions do. It needs no state and no timer of its own.

pub mod outputs;
pub mod score;

#[cfg(test)]
mod tests;

pub use outputs::emit;
pub use score::{Parts, VERSION, hundredths};
